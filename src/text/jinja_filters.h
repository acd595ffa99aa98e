// The filters that jinja_filters.cc finds by name; each is Jinja's of that name (to_json is tojson,
// length_of length, default_value default, to_int int, to_float float). All throw EvalError for
// arguments or values they cannot take.
#pragma once

#include "text/jinja_runtime.h"

namespace nativo::text::jinja::filters {

/// Texts and numbers (jinja_text_filters.cc).
Value upper(Heap& heap, const Value& value, const Arguments& arguments);
Value lower(Heap& heap, const Value& value, const Arguments& arguments);
Value capitalize(Heap& heap, const Value& value, const Arguments& arguments);
Value title(Heap& heap, const Value& value, const Arguments& arguments);
Value escape(Heap& heap, const Value& value, const Arguments& arguments);
Value string(Heap& heap, const Value& value, const Arguments& arguments);
Value trim(Heap& heap, const Value& value, const Arguments& arguments);
Value length_of(Heap& heap, const Value& value, const Arguments& arguments);
Value to_json(Heap& heap, const Value& value, const Arguments& arguments);
Value replace(Heap& heap, const Value& value, const Arguments& arguments);
Value default_value(Heap& heap, const Value& value, const Arguments& arguments);
Value to_int(Heap& heap, const Value& value, const Arguments& arguments);
Value to_float(Heap& heap, const Value& value, const Arguments& arguments);
Value round(Heap& heap, const Value& value, const Arguments& arguments);
Value abs(Heap& heap, const Value& value, const Arguments& arguments);
Value indent(Heap& heap, const Value& value, const Arguments& arguments);
Value format(Heap& heap, const Value& value, const Arguments& arguments);

/// Lists and dicts (jinja_list_filters.cc).
Value join(Heap& heap, const Value& value, const Arguments& arguments);
Value first(Heap& heap, const Value& value, const Arguments& arguments);
Value last(Heap& heap, const Value& value, const Arguments& arguments);
Value list(Heap& heap, const Value& value, const Arguments& arguments);
Value items(Heap& heap, const Value& value, const Arguments& arguments);
Value reverse(Heap& heap, const Value& value, const Arguments& arguments);
Value sort(Heap& heap, const Value& value, const Arguments& arguments);
Value dictsort(Heap& heap, const Value& value, const Arguments& arguments);
Value unique(Heap& heap, const Value& value, const Arguments& arguments);
Value min(Heap& heap, const Value& value, const Arguments& arguments);
Value max(Heap& heap, const Value& value, const Arguments& arguments);
Value sum(Heap& heap, const Value& value, const Arguments& arguments);
Value batch(Heap& heap, const Value& value, const Arguments& arguments);
Value map(Heap& heap, const Value& value, const Arguments& arguments);
Value select(Heap& heap, const Value& value, const Arguments& arguments);
Value reject(Heap& heap, const Value& value, const Arguments& arguments);
Value selectattr(Heap& heap, const Value& value, const Arguments& arguments);
Value rejectattr(Heap& heap, const Value& value, const Arguments& arguments);

inline bool flag(const Value* value) { return value != nullptr && truthy(*value); }

}  // namespace nativo::text::jinja::filters
