#!/usr/bin/env python3
"""Writes tests/golden/tokenizers/*.json: small tokenizer.json files and what `tokenizers` makes of texts.

Needs `pip install tokenizers sentencepiece protobuf`. Usage: tools/reference/make_tokenizers.py [OUT]. One file a
tokenizer: {"tokenizer": the tokenizer.json, "texts": [...], "cases": [...]}, a case a text: ids with control
tokens recognised, ids with them as letters ("letters"), byte offsets, and both decoded texts.
"""
import json
import pathlib
import random
import sys
import tempfile

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN = LLAMA3.replace("{1,3}", "")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + CONTRACTIONS + "?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + CONTRACTIONS + "?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CODE = """#include <vector>
int main(int argc, char** argv) {
\tstd::vector<int> v = {1, 22, 333, 4444};  // don't
\treturn v.size() == 4 ? 0 : 1;
}
"""
SENTENCES = [
    "The quick brown fox jumps over the lazy dog; it's 12:45 and they'll leave, won't they?",
    "Los niños corrían por la plaza; ¡qué alegría! ¿Cuánto cuesta? 3.141,59 €",
    "Größere Häuser, süße Äpfel und Straßen – „Fußgänger“.", "Być może źdźbło trawy żółknie.",
    "Это просто русский текст, 2024 год.", "日本語の文章です。東京、2024年。", "안녕하세요 세계", "مرحبا بالعالم",
    "हिन्दी में लिखा हुआ वाक्य", "ελληνικό κείμενο ΣΊΣΥΦΟΣ",
]
FIXED = [
    "", " ", "  ", "\n", "a", " a", "a ", "Hello world", " Hello  world ", "C'era una volta un re!", CODE,
    *SENTENCES, "e\u0301 o\u0308 A\u030a \u1112\u1161\u11ab ﬁ ² Ⅷ ｆｕｌｌ", "🍝🇮🇹 👩‍👩‍👧 ❤️ 👍🏽", "\u200b\u00ad\ufeff\u202eabc\u0000\u0007x\u0085\u2028y",
    "tab\tand\r\nCRLF\n\n\n  indent\n", "x" * 300, "ab" * 100, "1234567890123", "don't DON'T I'M we'RE 'sup",
    "▁▁a ▁ b", "<0x41>", "Ġa Ċ Ã©", "the<s>cat</s> <|im_start|>user\n<|im_end|> [CLS] a [SEP][MASK] <think>x</think>",
    "</s", "<s", "<|im_start|", "<|im_start|><|im_end|>", "a <mask> b  <mask>c<mask>", "naïve<extra>café <extra>x xextra",
    "U.S.A. e-mail: me@example.org https://example.org/a?b=c#d", "\u4e00\u4e8c\u9fa5\u3400\uf900", "don’t “quote” … —",
    "İstanbul ISTANBUL ßẞ ǅ", "\U0001d504\U0001f1ee \U000e0001", "a\u0300\u0301\u0302\u0303", "ﷺ ½ ㎏",
]
ATOMS = ["the", " ", "  ", "\n", "\t", "è", "e\u0301", "Perché", "12", "3", "'", "'s", "!", "...", "<s>", "</s>", "<mask>",
         "<|im_end|>", "[SEP]", "<extra>", "<think>", "日本", "🍝", "\u200d", "▁", "_", "a", "B", "Z", "-", "/", "\r\n", "\u00a0",
         "\u3000", "ß", "ж", "ñ", "\u0000", "\u00ad", "ﬁ", "x1", "##a", "É"]


def texts():
    out = list(FIXED)
    rng = random.Random(7)
    for _ in range(45):
        out.append("".join(rng.choice(ATOMS) for _ in range(rng.randint(1, 16))))
    return out


def corpus():
    text = (ROOT / "tests/data/text/pinocchio.txt").read_text()
    return [*text.split("\n\n"), *SENTENCES * 3, CODE * 3]


def trained(model, trainer, normalizer=None, pre_tokenizer=None):
    tokenizer = Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def byte_level(pre, vocab, normalizer=None, special=(), **model):
    tokenizer = trained(models.BPE(**model), trainers.BpeTrainer(
        vocab_size=vocab, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(special)), normalizer, pre)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def split(pattern, behavior="isolated", **more):
    return pre_tokenizers.Split(Regex(pattern), behavior, **more)


def no_regex():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def gpt2():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), 620, special=["<|endoftext|>"])
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, special=True), AddedToken("<extra>", single_word=True),
                          AddedToken("<think>", rstrip=True, normalized=False)])
    return tokenizer


def roberta():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), 520, special=["<s>", "</s>"])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=False)
    return tokenizer


def llama3():
    tokenizer = byte_level(pre_tokenizers.Sequence([split(LLAMA3), no_regex()]), 640, ignore_merges=True)
    tokenizer.add_special_tokens(["<s>", "</s>", "<|im_start|>", "<|im_end|>"])
    begin = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B:1", special_tokens=[("<s>", begin)])])
    return tokenizer


def qwen2():
    tokenizer = byte_level(pre_tokenizers.Sequence([split(QWEN), no_regex()]), 600, normalizers.NFC())
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    return tokenizer


def gpt4o():
    return byte_level(pre_tokenizers.Sequence([split(GPT4O), no_regex()]), 560)


def deepseek():
    return byte_level(pre_tokenizers.Sequence([
        split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"),
        pre_tokenizers.Digits(individual_digits=True), no_regex()]), 540)


def fallback_trainer(vocab):
    return trainers.BpeTrainer(vocab_size=vocab, show_progress=False, special_tokens=[
        "<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))], limit_alphabet=60)


def uncontrol_bytes(tokenizer):
    """The 256 byte pieces are pieces, not control tokens."""
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(state))


def llama2():
    tokenizer = trained(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), fallback_trainer(700),
                        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return uncontrol_bytes(tokenizer)


def mistral():
    tokenizer = trained(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), fallback_trainer(660), None,
                        pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    return uncontrol_bytes(tokenizer)


def gemma():
    tokenizer = trained(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), fallback_trainer(660),
                        normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=True)])
    return uncontrol_bytes(tokenizer)


def charsmap():
    """A small character map in sentencepiece's own format."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as proto
    rules = ["FB01\t66 69", "B2\t32", "2168\t49 58", "FF46\t66", "A0\t20", "3000\t20", "9\t20", "A\t20", "D A\t20",
             "65 301\tE9", "AD\t", "0041 30A\tC5", "2026\t2E 2E 2E", "FF55 FF4C\t75 6C"]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "rules.tsv").write_text("\n".join(rules) + "\n")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e f"] * 10), model_prefix=str(path / "m"), vocab_size=10,
            normalization_rule_tsv=str(path / "rules.tsv"), minloglevel=2)
        model = proto.ModelProto()
        model.ParseFromString((path / "m.model").read_bytes())
        return model.normalizer_spec.precompiled_charsmap


def xlm_roberta():
    tokenizer = trained(
        models.Unigram(), trainers.UnigramTrainer(vocab_size=500, show_progress=False, unk_token="<unk>",
                                                  special_tokens=["<s>", "<pad>", "</s>", "<unk>"]),
        normalizers.Sequence([normalizers.Precompiled(charsmap()), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("▁")]))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def bert(**normalizer):
    tokenizer = trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(
        vocab_size=600, show_progress=False, limit_alphabet=120,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]),
        normalizers.BertNormalizer(**normalizer), pre_tokenizers.BertPreTokenizer())
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def bert_cased():
    return bert(lowercase=False, handle_chinese_chars=False)


def clip():
    tokenizer = trained(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"), trainers.BpeTrainer(
        vocab_size=500, show_progress=False, special_tokens=["<|endoftext|>"], end_of_word_suffix="</w>"),
        normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
                              normalizers.Strip(), normalizers.Replace(Regex(r"\s+"), " ")]),
        pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=False),
                                 pre_tokenizers.Punctuation("merged_with_previous")]))
    tokenizer.decoder = decoders.BPEDecoder()
    tokenizer.add_tokens(["café", AddedToken("<extra>", single_word=True, normalized=True)])
    return tokenizer


def pieces():
    """Behaviours that no published file combines."""
    tokenizer = trained(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##"), trainers.BpeTrainer(
        vocab_size=420, show_progress=False, special_tokens=["[UNK]"], continuing_subword_prefix="##",
        limit_alphabet=80), normalizers.NFD(), pre_tokenizers.Sequence([
            pre_tokenizers.CharDelimiterSplit(";"), split(r"\d+", "contiguous", invert=True),
            split(r"[aeiou]{2}(?=\w)|(?<!x)y", "merged_with_next"), pre_tokenizers.Metaspace("_"),
            pre_tokenizers.Punctuation("contiguous")]))
    tokenizer.decoder = decoders.WordPiece("##", cleanup=True)
    return tokenizer


FAMILIES = [gpt2, roberta, llama3, qwen2, gpt4o, deepseek, llama2, mistral, gemma, xlm_roberta, bert, bert_cased, clip,
            pieces]


def case(tokenizer, letters, text):
    encoding = tokenizer.encode(text, add_special_tokens=False)
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    out = {"ids": encoding.ids, "offsets": [x for begin, end in encoding.offsets for x in (at[begin], at[end])]}
    plain = letters.encode(text, add_special_tokens=False).ids
    if plain != encoding.ids:
        out["letters"] = plain
    out["skip"] = tokenizer.decode(encoding.ids)
    out["keep"] = tokenizer.decode(encoding.ids, skip_special_tokens=False)
    return out


def golden(tokenizer, some):
    letters = Tokenizer.from_str(tokenizer.to_str())
    letters.encode_special_tokens = True
    return {"tokenizer": json.loads(tokenizer.to_str()), "around": tokenizer.encode("Hello").ids, "texts": some,
            "cases": [case(tokenizer, letters, text) for text in some]}


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "tests/golden/tokenizers")
    out.mkdir(parents=True, exist_ok=True)
    some = texts()
    for family in FAMILIES:
        state = golden(family(), some)
        (out / f"{family.__name__}.json").write_text(json.dumps(state, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
