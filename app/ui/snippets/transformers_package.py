"""A program for the package ``transformers``: the same files, without this server.

It computes in single precision, as PyTorch does here; a graph in 8 bits sometimes chooses another token. With a
temperature, it draws other random numbers.
"""

from __future__ import annotations

from textwrap import indent

from app.ui.snippets.call import Call
from santacoder.tokenizer import FIM_MIDDLE, FIM_PAD, FIM_PREFIX, FIM_SUFFIX

_MARKS = [FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, FIM_PAD]
_IDS = 'ids = tokenizer(prompt, return_tensors="pt").input_ids\n'


def transformers_package(call: Call) -> str:
    files, adapter = f"{call.repo_id!r}, revision={call.revision!r}", ""
    if call.store:  # otherwise transformers would ask the Hub for a newer revision, and with peft for an adapter
        files += f", cache_dir={call.store!r}, local_files_only=True"
        adapter = ', adapter_kwargs={"local_files_only": True}'
    seeding = ", set_seed" if _is_seeded(call) else ""
    return (
        f"{_differences(call)}"
        f"from transformers import AutoModelForCausalLM, AutoTokenizer{seeding}\n\n"
        f"tokenizer = AutoTokenizer.from_pretrained({files})\n"
        f'model = AutoModelForCausalLM.from_pretrained({files}{adapter}, dtype="float32")\n'
        f"{_one_for_each_gap(call) if call.has_several_gaps else _single(call)}"
    )


def _differences(call: Call) -> str:
    """Comments on why the text may differ from the page's."""
    said = []
    if call.runner and "fp32" not in call.runner:
        said.append(
            f"# The page shows what was computed as ({call.runner}); in float32, another token may be chosen.\n"
        )
    if any(call.healing):
        said.append("# transformers keeps the prompt's tokens; the server may tokenize its end differently.\n")
    if call.ends:
        rules = ", ".join(call.ends)
        said.append(f"# transformers does not know the server's rules for where a text begins and ends ({rules}).\n")
    return "".join(said)


def _single(call: Call) -> str:
    return (
        (f"set_seed({call.task.sampling.seed})\n" if _is_seeded(call) else "")
        + f"prompt = {call.prompt!r}\n"
        + _IDS
        + _generate(call, call.n_candidates)
        + "for answer in answers:\n"
        + indent(_decode(call), "    ")
        + "    print(text)\n"
    )


def _one_for_each_gap(call: Call) -> str:
    return (
        f"parts = {list(call.task.parts)!r}\n\n"
        f"for seed in {call.seeds!r}:\n"
        + ("    set_seed(seed)\n" if _is_seeded(call) else "")
        + "    code = parts[0]\n"
        "    for gap in range(1, len(parts)):  # with the previous gaps filled\n"
        '        suffix = "".join(parts[gap:])\n'
        f"        prompt = {call.joined_prompt}\n"
        + indent(_IDS + _generate(call, 1) + "answer = answers[0]\n" + _decode(call), " " * 8)
        + "        code += text + parts[gap]\n"
        "    print(code)\n"
    )


def _generate(call: Call, n: int) -> str:
    sampling = call.task.sampling
    chance = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    arguments = {
        "max_new_tokens": sampling.max_new_tokens,
        "do_sample": bool(sampling.temperature),
        **(chance if sampling.temperature else {}),
        "repetition_penalty": sampling.repetition_penalty,
        **({"num_return_sequences": n} if n > 1 else {}),
        **({"stop_strings": list(sampling.stop)} if sampling.stop else {}),
    }
    # the page never samples an id without a token, nor a sentinel in left-to-right completion
    marks = f"*tokenizer.convert_tokens_to_ids({_MARKS!r}), " if call.suffix is None else ""
    never = f"    suppress_tokens=[{marks}*range(len(tokenizer), model.config.vocab_size)],\n"
    return (
        "answers = model.generate(\n    ids,\n"
        + "".join(f"    {name}={value!r},\n" for name, value in arguments.items())
        + never
        + "    tokenizer=tokenizer,\n"
        "    eos_token_id=tokenizer.all_special_ids,\n"
        "    pad_token_id=tokenizer.eos_token_id,\n"
        ")\n"
    )


def _decode(call: Call) -> str:
    """The generated text without a stop sequence, which ``generate`` keeps."""
    stops = list(call.task.sampling.stop)
    cut = f"for stop in {stops!r}:\n    text = text.partition(stop)[0]\n" if stops else ""
    return "text = tokenizer.decode(answer[ids.shape[1] :], skip_special_tokens=True)\n" + cut


def _is_seeded(call: Call) -> bool:
    return call.task.sampling.seed is not None and bool(call.task.sampling.temperature)
