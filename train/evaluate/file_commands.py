"""The commands that measure a revision with the files it was trained on, or was not."""

from __future__ import annotations

import argparse
import hashlib
import json

from santacoder import checkpoints
from santacoder.attribution import Shards
from santacoder.errors import UserError
from santacoder.sampling import SamplingParams
from train.evaluate.benchmark_commands import measured_snapshot, open_subject
from train.evaluate.results import memorization_report
from train.evaluate.results.result import Result, environment
from train.evaluate.run_folder import RESULT_FILE
from train.evaluate.tasks import memorization
from train.evaluate.tasks.bits_per_byte import drawn, held_out_documents, in_folder, measure


def bits_per_byte(args: argparse.Namespace) -> None:
    """Bits per byte on held-out files or a folder, by language, compared with ``xz``."""
    snapshot, sha = measured_snapshot(args)
    model, tokenizer = checkpoints.load(snapshot)
    documents = in_folder(args.folder) if args.folder else held_out_documents(args.data)
    if args.limit is not None:
        documents = {language: drawn(files, int(args.limit * 1e6)) for language, files in documents.items()}
    for language, of_language in documents.items():
        score = measure(model, tokenizer, of_language)
        described = {
            "model": f"{args.repo}@{args.revision}",
            "language": language,
            "files": len(of_language),
            "bytes": score.n_bytes,
            "bits_per_byte": round(score.model, 4),
            "xz_bits_per_byte": round(score.xz, 4),
            "ratio": round(score.ratio, 4),
        }
        print(json.dumps(described, indent=1))
        if args.output:
            tasks = {"all files": (1, score.model)}
            used = environment("torch", score.precision, score.device)
            settings = {**described, "sha256": hashlib.sha256(b"".join(of_language)).hexdigest()}
            result = Result("bits-per-byte", language, args.repo, args.revision, sha, settings, used, tasks)
            result.write(args.output / f"bits-per-byte-{language}" / RESULT_FILE)


def copies(args: argparse.Namespace) -> None:
    """How much the model copies from its training files, by temperature and length.

    Raises:
        UserError: the texts are too short to tell what is memorized, or something named cannot be used.
    """
    if args.max_new_tokens < memorization.FOLLOWING_TOKENS:
        raise UserError(
            f"A file counts as memorized if the model writes its next {memorization.FOLLOWING_TOKENS} tokens: set "
            f"--max-new-tokens to {memorization.FOLLOWING_TOKENS} or more, not {args.max_new_tokens}."
        )
    index = Shards(args.index)
    guaranteed = index.searched.guaranteed_tokens
    lengths = sorted({args.max_new_tokens // 4, args.max_new_tokens // 2, args.max_new_tokens} - {0})
    with open_subject(args) as subject:
        runs: dict[tuple[memorization.Split, float], list[memorization.Written]] = {}
        for split in memorization.SPLITS:
            asked = memorization.excerpts(args.data, split, args.prompts, args.seed)
            for temperature in args.temperature:
                sampling = SamplingParams(args.max_new_tokens, temperature, top_p=0.95, seed=args.seed)
                runs[split, temperature] = memorization.write_on(subject.engine, index, asked, sampling)
    tokenizer = subject.engine.tokenizer
    by_length = {
        length: {key: [memorization.cut(one, index, tokenizer, length) for one in of] for key, of in runs.items()}
        for length in lengths
    }
    tables = [
        memorization_report.copied_table(runs, guaranteed),
        memorization_report.length_table(by_length),
        memorization_report.by_heart_table(runs),
    ]
    print("\n\n".join(tables))
    if args.plot:
        memorization_report.plot(runs, guaranteed, args.plot)
    if args.output:
        settings = {"max_new_tokens": args.max_new_tokens, "seed": args.seed, "guaranteed": guaranteed}
        for result in memorization_report.results(subject, runs, **settings):
            result.write(args.output / result.name.replace(" ", "-") / RESULT_FILE)
