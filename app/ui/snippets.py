"""What the page would run, as a command or a program that runs elsewhere."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from app.generating import Task
from santacoder.tokenizer import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX

KINDS = {"curl": "shell", "Python": "python", "transformers": "python"}
"""The kinds of snippets, and how they are coloured."""


@dataclass(frozen=True)
class Call:
    """A task, for the model ``repo_id`` at ``revision``: of the server at ``url``, or from the folder ``store``.

    Without a folder it is in the user's cache or on the Hub.
    """

    task: Task
    repo_id: str
    revision: str
    url: str
    store: str | None

    @property
    def model(self) -> str:
        return f"{self.repo_id}@{self.revision}"

    @property
    def prefix(self) -> str:
        return self.task.parts[0]

    @property
    def suffix(self) -> str | None:
        """What stands behind the first gap, the other gaps left out."""
        return "".join(self.task.parts[1:]) if len(self.task.parts) > 1 else None


def snippet(kind: str, call: Call) -> str:
    """One of :data:`KINDS`. Of several gaps it fills the first."""
    return {"curl": _curl, "Python": _python, "transformers": _transformers}[kind](call)


def _curl(call: Call) -> str:
    """llama.cpp's protocol, which has every parameter of the page."""
    sampling = call.task.sampling
    body = {
        "model": call.model,
        **_code(call),
        "n_predict": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "repeat_penalty": sampling.repetition_penalty,
        "seed": -1 if sampling.seed is None else sampling.seed,
        "stop": list(sampling.stop),
        "n_cmpl": call.task.n,
    }
    path = "infill" if "input_prefix" in body else "completion"
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return (
        f"curl -s {shlex.quote(f'{call.url}/{path}')} \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(text)}\n"
    )


def _code(call: Call) -> dict[str, str]:
    if call.suffix is not None and call.task.fim_order == "psm":
        return {"input_prefix": call.prefix, "input_suffix": call.suffix}
    return {"prompt": _prompt(call)}


def _python(call: Call) -> str:
    """The openai package."""
    sampling = call.task.sampling
    psm = call.suffix is not None and call.task.fim_order == "psm"
    arguments = {
        "model": call.model,
        "prompt": call.prefix if psm else _prompt(call),
        **({"suffix": call.suffix} if psm else {}),
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **({"seed": sampling.seed} if sampling.seed is not None else {}),
        **({"stop": list(sampling.stop)} if sampling.stop else {}),
        "n": call.task.n,
        "extra_body": {"top_k": sampling.top_k, "repetition_penalty": sampling.repetition_penalty},
    }
    written = "".join(f"    {name}={value!r},\n" for name, value in arguments.items())
    return (
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url={f"{call.url}/v1"!r}, api_key="none")\n'
        f"answer = client.completions.create(\n{written})\n"
        "for choice in answer.choices:\n"
        "    print(choice.text)\n"
    )


def _transformers(call: Call) -> str:
    """The same files, without this server."""
    sampling = call.task.sampling
    files = f"{call.repo_id!r}, revision={call.revision!r}" + (f", cache_dir={call.store!r}" if call.store else "")
    chance = (
        {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        if sampling.temperature
        else {"do_sample": False}
    )
    arguments = {
        "max_new_tokens": sampling.max_new_tokens,
        **chance,
        "repetition_penalty": sampling.repetition_penalty,
        **({"num_return_sequences": call.task.n} if sampling.temperature else {}),
        **({"stop_strings": list(sampling.stop)} if sampling.stop else {}),
    }
    written = "".join(f"    {name}={value!r},\n" for name, value in arguments.items())
    seed = f"set_seed({sampling.seed})\n" if sampling.seed is not None and sampling.temperature else ""
    return (
        f"from transformers import AutoModelForCausalLM, AutoTokenizer{', set_seed' if seed else ''}\n\n"
        f"tokenizer = AutoTokenizer.from_pretrained({files})\n"
        f"model = AutoModelForCausalLM.from_pretrained({files})\n"
        f"{seed}"
        f"prompt = {_prompt(call)!r}\n"
        'ids = tokenizer(prompt, return_tensors="pt").input_ids\n'
        f"answers = model.generate(\n    ids,\n{written}"
        "    tokenizer=tokenizer,\n"
        "    eos_token_id=tokenizer.all_special_ids,\n"
        "    pad_token_id=tokenizer.eos_token_id,\n"
        ")\n"
        "for answer in answers:\n"
        "    print(tokenizer.decode(answer[ids.shape[1] :], skip_special_tokens=True))\n"
    )


def _prompt(call: Call) -> str:
    """The whole prompt as text, with the marks where there is a gap."""
    if call.suffix is None:
        return call.prefix
    if call.task.fim_order == "psm":
        return f"{FIM_PREFIX}{call.prefix}{FIM_SUFFIX}{call.suffix}{FIM_MIDDLE}"
    return f"{FIM_PREFIX}{FIM_SUFFIX}{call.suffix}{FIM_MIDDLE}{call.prefix}"
