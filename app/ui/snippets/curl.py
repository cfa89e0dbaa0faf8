"""A command for the shell, in llama.cpp's protocol, which has every parameter of the page."""

from __future__ import annotations

import json
import shlex
from typing import Any

from app.ui.snippets.call import Call


def curl(call: Call) -> str:
    return _one_for_each_gap(call) if call.has_several_gaps else _single(call)


def _single(call: Call) -> str:
    code = {"input_prefix": call.prefix, "input_suffix": call.suffix} if call.sends_suffix else {"prompt": call.prompt}
    seed = call.task.sampling.seed
    body = {"model": call.model, **code, **_parameters(call), "seed": -1 if seed is None else seed}
    body["n_cmpl"] = call.n_candidates
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return f"curl -s {_address(call)} \\\n  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(text)}\n"


def _one_for_each_gap(call: Call) -> str:
    """Code is kept as JSON in shell variables, because the shell strips trailing line breaks."""
    parts = json.dumps(call.task.parts, ensure_ascii=False)
    parameters = json.dumps({"model": call.model, **_parameters(call)}, indent=2, ensure_ascii=False)
    n_gaps = len(call.task.parts) - 1
    seeds = " ".join(str(-1 if seed is None else seed) for seed in call.seeds)
    return (
        "# One request per gap; its prefix contains the previous gaps, filled. This needs jq.\n"
        f"parts={shlex.quote(parts)}\n"
        f"parameters={shlex.quote(parameters)}\n"
        f"healed={shlex.quote(json.dumps(call.healing))}\n"
        f"for seed in {seeds}; do\n"
        '  code=$(jq -n "$parts | .[0]")\n'
        f"  for gap in {' '.join(str(gap) for gap in range(1, n_gaps + 1))}; do\n"
        '    suffix=$(jq -n "$parts | .[$gap:] | add")\n'
        f'    written=$(jq -n "$parameters + {_code(call)}" |\n'
        f"      curl -s {_address(call)} -H 'Content-Type: application/json' -d @- | jq .content)\n"
        '    code=$(jq -n "$code + $written + ($parts | .[$gap])")\n'
        "  done\n"
        '  jq -nr "$code"\n'
        "done\n"
    )


def _code(call: Call) -> str:
    """A jq expression inside the shell's double quotes, which uses the shell's variables."""
    fields = "seed: $seed, token_healing: ($healed | .[$gap - 1])"
    if call.sends_suffix:
        return f"{{input_prefix: $code, input_suffix: $suffix, {fields}}}"
    before, between, after = (json.dumps(mark).replace('"', '\\"') for mark in call.marks)
    return f"{{prompt: ({before} + $code + {between} + $suffix + {after}), {fields}}}"


def _address(call: Call) -> str:
    return shlex.quote(f"{call.url}/{'infill' if call.sends_suffix else 'completion'}")


def _parameters(call: Call) -> dict[str, Any]:
    sampling = call.task.sampling
    return {
        "n_predict": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        # llama.cpp's defaults would drop unlikely tokens before the temperature, and penalise only the last 64
        "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": -1,
        "stop": list(sampling.stop),
        **call.beginning,
        **call.ends,
    }
