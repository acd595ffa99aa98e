// Writes model.bin files of any version, for tests of the reader.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::model {

struct ModelBinWriter {
  std::uint32_t version = 6;
  std::string bytes;

  template <class T>
  void number(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void string(std::string_view text) {
    number(static_cast<std::uint16_t>(text.size() + 1));
    bytes += text;
    bytes += '\0';
  }
  void begin(std::uint32_t variables, std::string_view spec = "TransformerSpec",
             std::uint32_t revision = 7) {
    number(version);
    if (version >= 2) {
      string(spec);
      number(revision);
    }
    number(variables);
  }
  /// `type` as versions 4 and later number them.
  template <class T>
  void variable(std::string_view name, const std::vector<std::uint32_t>& shape, std::uint8_t type,
                const std::vector<T>& values) {
    string(name);
    number(static_cast<std::uint8_t>(shape.size()));
    for (const std::uint32_t size : shape) number(size);
    if (version >= 4) {
      number(type);
      number(static_cast<std::uint32_t>(values.size() * sizeof(T)));
    } else {
      number(static_cast<std::uint8_t>(sizeof(T)));
      number(static_cast<std::uint32_t>(values.size()));
    }
    for (const T& value : values) number(value);
  }
};

}  // namespace nativo::model
