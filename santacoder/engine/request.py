"""A request to the engine, and how it becomes prompt tokens that fit the context."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from santacoder import fim
from santacoder.engine.gap_order import DEFAULT_ORDER
from santacoder.engine.line_ends import is_uniform, to_lf, uses_crlf
from santacoder.engine.token_healing import TokenHealing
from santacoder.errors import PromptTooLong, UserError
from santacoder.languages import Language
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer, require_valid_unicode

_FIM_MARKS = 3
# prefix : suffix = 3 : 1 if both are too long, as llama.cpp's /infill splits its budget
_SUFFIX_SHARE = 0.25
_RELATED_SHARE = 0.25
_CUT_SHARE = 0.125


@dataclass(frozen=True)
class CompletionRequest:
    """Continue ``prefix``; with a ``suffix``, write what belongs between the two.

    Args:
        prefix, suffix: text before and after the gap. Windows line ends are stored as LF, also in stop sequences.
        fim_order: None leaves the order to the model.
        prefix_ids: the tokens of the prefix, if the client chose them.
        echo: report the prompt's own tokens first, with their log-probabilities.
        may_be_cut: truncate a prompt that does not fit.
        use_cache: False prefills the whole prompt, whatever is cached.
        crlf: write CRLF line ends.
        language: the language of the code; without one, it is guessed where needed.
        fit_gap: cut a middle where it repeats the suffix, and let it begin with a line break inside a line only if the
            model is sure.
        is_begun: ``prefix_ids`` are the whole prompt, the suffix included, and the tokens of the answer so far.
        written: the tokens of the answer that have already been generated, the last of ``prefix_ids``, each with the
            text that it added. Those that only spelled the end of the prompt again are left out.
        typed: what the first tokens must spell again of the typed text, after ``prefix_ids``.
        related: code from elsewhere, which goes in front of the prefix and takes at most a quarter of the context.

    Raises:
        UserError: nothing to start from, or text that no source file has; the message is for the user.
    """

    prefix: str
    suffix: str | None = None
    sampling: SamplingParams = field(default_factory=SamplingParams)
    fim_order: fim.FimOrder | None = "psm"
    prefix_ids: tuple[int, ...] | None = None
    echo: bool = False
    may_be_cut: bool = True
    use_cache: bool = True
    crlf: bool = False
    language: Language | None = None
    fit_gap: bool = False
    is_begun: bool = False
    written: tuple[tuple[int, str], ...] = ()
    typed: bytes = b""
    related: str = ""

    def __post_init__(self) -> None:
        if not (self.prefix or self.prefix_ids or self.suffix):
            raise UserError("There is no code to start from: write some before running.")
        require_source_code("prompt" if self.suffix is None else "prefix", self.prefix)
        require_source_code("suffix", self.suffix or "")
        self._keep_with_lf()

    def _keep_with_lf(self) -> None:
        """Convert CRLF to LF, except in an echo that could not be returned unchanged."""
        if self.prefix_ids is None and not (self.echo and not is_uniform(self.prefix)):
            suffix = self.suffix or ""
            self._set(crlf=self.crlf or uses_crlf(self.prefix, suffix), prefix=to_lf(self.prefix))
            self._set(suffix=None if self.suffix is None else to_lf(suffix))
        if self.crlf or self.prefix_ids is None:
            stop = tuple(_as_written(sequence, self.crlf) for sequence in self.sampling.stop)
            self._set(sampling=replace(self.sampling, stop=stop))

    def _set(self, **fields: object) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Prompt:
    """Prompt tokens that fit the context, the number of new tokens that fit, and notices for the user.

    ``is_truncated`` says that a part of the prefix or suffix was left out. ``taken_back`` are tokens removed from the
    end of the prefix; the first generated tokens must spell ``typed``.
    """

    ids: list[int]
    max_new_tokens: int
    notices: tuple[str, ...]
    is_truncated: bool = False
    taken_back: tuple[int, ...] = ()
    typed: bytes = b""


def build_prompt(
    request: CompletionRequest,
    tokenizer: Tokenizer,
    n_positions: int,
    open_order: fim.FimOrder = DEFAULT_ORDER,
    healing: TokenHealing | None = None,
) -> Prompt:
    """Encode ``request``, and truncate what does not fit: the prefix on its left, the suffix on its right. No more of a
    long text is encoded than may be kept. ``open_order`` is the order for requests without one.

    New tokens may claim up to half of the context before the prompt is truncated.

    Raises:
        UserError: a token id that the model does not have, or an echo of what does not fit.
        PromptTooLong: the prompt does not fit and must not be truncated.
    """
    _require_known(request, tokenizer.vocab_size)
    max_new_tokens = request.sampling.max_new_tokens
    is_fim = request.suffix is not None and not request.is_begun
    reserved = min(max_new_tokens, n_positions // 2) if request.may_be_cut else 1
    room = n_positions - reserved - (_FIM_MARKS if is_fim else 0)
    prefix, more_prefix = (
        tokenizer.encode_end(request.prefix, room) if request.prefix_ids is None else (list(request.prefix_ids), False)
    )
    suffix, more_suffix = tokenizer.encode_beginning(request.suffix or "" if is_fim else "", room)
    related = tokenizer.encode_beginning(request.related, room)[0][: int(room * _RELATED_SHARE)]
    kept_prefix, kept_suffix = _cut(prefix, suffix, room - len(related))
    if request.echo and (len(kept_prefix), len(kept_suffix)) != (len(prefix), len(suffix)):
        said = _said(len(prefix) + len(suffix), more_prefix or more_suffix)
        raise UserError(
            f"The prompt of {said} tokens cannot be echoed: the context of {n_positions:,} "
            f"tokens has room for {room:,}. Shorten it, or ask for fewer new tokens."
        )
    if not request.may_be_cut and (len(kept_prefix), len(kept_suffix)) != (len(prefix), len(suffix)):
        n_tokens = len(prefix) + len(suffix)
        said = _said(n_tokens, more_prefix or more_suffix)
        raise PromptTooLong(
            f"The request ({said} tokens) exceeds the available context size ({n_positions:,} tokens); shorten it.",
            n_tokens,
            n_positions,
        )
    read, taken_back = _split(kept_prefix, 0)
    if healing and request.sampling.token_healing and _is_text_to_continue(request):
        read, taken_back = _split(kept_prefix, healing.n_open(kept_prefix))
    read = related + read
    if is_fim:
        ids = fim.prompt_ids(tokenizer, read, kept_suffix, request.fim_order or open_order)
    else:
        ids = read or [tokenizer.end_of_text_id]  # a document begins after the end of another
    notices = []
    if len(kept_prefix) < len(prefix):
        said = _said(len(prefix), more_prefix)
        notices.append(f"The model reads only the last {len(kept_prefix):,} of {said} tokens before the cursor.")
    if len(kept_suffix) < len(suffix):
        said = _said(len(suffix), more_suffix)
        notices.append(f"The model reads only the first {len(kept_suffix):,} of {said} tokens after the gap.")
    is_truncated = bool(notices)
    left = n_positions - len(ids) - len(taken_back)
    if max_new_tokens > left:
        notices.append(f"The model's context of {n_positions:,} tokens leaves room for {left:,} new ones.")
    typed = tokenizer.decode_bytes(taken_back) or request.typed if max_new_tokens else b""
    return Prompt(ids, min(max_new_tokens, left), tuple(notices), is_truncated, tuple(taken_back), typed)


def require_source_code(name: str, text: str) -> None:
    """
    Raises:
        UserError: ``text`` has a character that no source file has; the message calls it by its ``name``.
    """
    if "\0" in text:
        raise UserError(
            f"The {name} has a NUL character at position {text.index(chr(0)) + 1}, which no source file "
            "has; remove it and try again."
        )
    require_valid_unicode(text)


def _is_text_to_continue(request: CompletionRequest) -> bool:
    return not request.echo and request.prefix_ids is None and request.sampling.max_new_tokens > 0


def _split(ids: list[int], n_last: int) -> tuple[list[int], list[int]]:
    return ids[: len(ids) - n_last], ids[len(ids) - n_last :]


def _as_written(sequence: str, crlf: bool) -> str:
    """A stop sequence for text with LF. If lines end in CRLF, a CR at its end is the beginning of a line end."""
    with_lf = to_lf(sequence)
    return f"{with_lf[:-1]}\n" if crlf and with_lf.endswith("\r") else with_lf


def _require_known(request: CompletionRequest, vocab_size: int) -> None:
    biased = [token_id for token_id, _ in request.sampling.logit_bias]
    for name, ids in (("prompt", request.prefix_ids or ()), ("logit_bias", biased)):
        for token_id in ids:
            if not 0 <= token_id < vocab_size:
                raise UserError(f"The {name} has the token {token_id}; the model's tokens are 0 to {vocab_size - 1}.")


def _said(count: int, at_least: bool) -> str:
    """A number of tokens, as text; with ``at_least``, there may be more."""
    return f"more than {count:,}" if at_least else f"{count:,}"


def _cut(prefix: list[int], suffix: list[int], room: int) -> tuple[list[int], list[int]]:
    """The end of ``prefix`` and the beginning of ``suffix``; either may use room that the other does not need.

    The prefix is truncated in whole steps, so while somebody types it mostly keeps its first token, and the prefix
    cache stays valid.
    """
    for_suffix = min(len(suffix), max(int(room * _SUFFIX_SHARE), room - len(prefix)))
    excess = max(0, len(prefix) - (room - for_suffix))
    step = max(1, int(room * _CUT_SHARE))
    return prefix[-(-excess // step) * step :], suffix[:for_suffix]
