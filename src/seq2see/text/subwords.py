"""How text is cut before sub-words are looked for, and the ``tokenizers`` object of each kind."""

import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers

from seq2see.config.settings import TokeniserKind
from seq2see.text.alphabet import SPECIAL_NAMES, UNK
from seq2see.text.vocabulary import Vocabulary

# No merge crosses the borders of these runs, which together cover any text: a word with the blank or
# apostrophe before it; one digit, so that numbers are copied digit by digit; other signs; white space but for
# the blank that belongs to the next word. Marks belong to letters (Indic vowels, Arabic and Hebrew points),
# and so do the zero-width joiners of Persian and Indic words. The bound of 64 keeps the work linear in the
# length of the text where nothing else ends a run.
_RUNS = (
    r"[ '’]?[\p{L}\p{M}\x{200C}\x{200D}]{1,64}"
    r"| ?\p{N}"
    r"| ?[^\s\p{L}\p{N}]{1,64}"
    r"|\s{1,64}(?!\S)|\s{1,64}"
)

# A blank is put before the text, and taken away again after decoding, so that a word has the same piece at
# the beginning of a sentence as inside it.
PREFIX = " "


def has_prefix(kind: TokeniserKind) -> bool:
    """Whether this kind of tokeniser puts a blank before the text."""
    return kind in ("bpe", "unigram")


def runs() -> pre_tokenizers.PreTokenizer:
    """Cuts text into the runs inside which sub-words are learnt, as characters."""
    return pre_tokenizers.Split(Regex(_RUNS), "isolated")


def splitting(kind: TokeniserKind) -> pre_tokenizers.PreTokenizer | None:
    """What each kind of tokeniser does with text before it looks for pieces; None: nothing."""
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    match kind:
        case "char":
            return None
        case "word":
            return pre_tokenizers.WhitespaceSplit()
        case "byte":
            return as_bytes
        case "bpe" | "unigram":
            return pre_tokenizers.Sequence([runs(), as_bytes])


def build(kind: TokeniserKind, vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """The ``tokenizers`` object. It knows no added tokens: whatever stands in a text is text."""
    tokenizer = tokenizers.Tokenizer(_model(kind, vocabulary))
    before = splitting(kind)
    if before is not None:
        tokenizer.pre_tokenizer = before
    if has_prefix(kind):
        tokenizer.normalizer = normalizers.Prepend(PREFIX)
    return tokenizer


def _model(kind: TokeniserKind, vocabulary: Vocabulary) -> models.Model:
    ids = {piece: number for number, piece in enumerate(vocabulary.pieces)}
    match kind:
        case "word":
            return models.WordLevel(ids, unk_token=SPECIAL_NAMES[UNK])
        case "unigram":
            scored = list(zip(vocabulary.pieces, vocabulary.scores, strict=True))
            return models.Unigram(scored, unk_id=UNK)
        case "bpe":
            return models.BPE(ids, list(vocabulary.merges))
        case "char" | "byte":
            # Without merges the model looks up each character; a cache of whole texts would be of no use.
            return models.BPE(ids, [], byte_fallback=kind == "char", cache_capacity=0)
