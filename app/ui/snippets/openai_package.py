"""A program for the package ``openai``."""

from __future__ import annotations

from app.ui.snippets.call import Call


def openai_package(call: Call) -> str:
    head = f'from openai import OpenAI\n\nclient = OpenAI(base_url={f"{call.url}/v1"!r}, api_key="none")\n'
    return head + (_one_for_each_gap(call) if call.has_several_gaps else _single(call))


def _single(call: Call) -> str:
    seed = call.task.sampling.seed
    code = (
        {"prompt": repr(call.prefix), "suffix": repr(call.suffix)}
        if call.sends_suffix
        else {"prompt": repr(call.prompt)}
    )
    arguments = {**code, **({"seed": repr(seed)} if seed is not None else {}), "n": repr(call.n_candidates)}
    return (
        f"answer = client.completions.create(\n{_written(call, arguments, '    ')})\n"
        "for choice in answer.choices:\n"
        "    print(choice.text)\n"
    )


def _one_for_each_gap(call: Call) -> str:
    code = {"prompt": "code", "suffix": "suffix"} if call.sends_suffix else {"prompt": call.joined_prompt}
    arguments = {**code, **({"seed": "seed"} if call.task.sampling.seed is not None else {})}
    return (
        f"parts = {list(call.task.parts)!r}\n\n"
        f"for seed in {call.seeds!r}:\n"
        "    code = parts[0]\n"
        f"    for gap, healing in enumerate({call.healing}, start=1):  # with the previous gaps filled\n"
        '        suffix = "".join(parts[gap:])\n'
        f"        answer = client.completions.create(\n{_written(call, arguments, ' ' * 12)}        )\n"
        "        code += answer.choices[0].text + parts[gap]\n"
        "    print(code)\n"
    )


def _written(call: Call, own: dict[str, str], indent: str) -> str:
    """The arguments of the call; ``own`` are already Python code."""
    sampling = call.task.sampling
    extra = {
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
        **call.beginning,
        **call.ends,
    }
    arguments = {
        "model": repr(call.model),
        **own,
        "max_tokens": repr(sampling.max_new_tokens),
        "temperature": repr(sampling.temperature),
        "top_p": repr(sampling.top_p),
        **({"stop": repr(list(sampling.stop))} if sampling.stop else {}),
        "extra_body": repr(extra) + (' | {"token_healing": healing}' if call.has_several_gaps else ""),
    }
    return "".join(f"{indent}{name}={value},\n" for name, value in arguments.items())
