"""SantaCoder in PyTorch: GPT-2 with multi-query attention (arXiv 2301.03988, section 5; Shazeer, arXiv 1911.02150).

Parameter names and layouts are those of transformers' ``GPTBigCodeForCausalLM``, so such checkpoints need no
conversion; the other format is converted in :mod:`santacoder.weights`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from santacoder.attention import causal_attention
from santacoder.config import SantaCoderConfig
from santacoder.errors import UserError
from santacoder.kv_cache import KVCache, RaggedKVCache
from santacoder.linear import Linear, linear


class SantaCoder(nn.Module):
    """``model(input_ids [B, T] int64) -> logits [B, T, vocab_size]`` in the dtype of the weights."""

    def __init__(self, config: SantaCoderConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        if not config.tie_word_embeddings:
            self.lm_head = Linear(config.n_embd, config.vocab_size, bias=False)
        if not self.transformer.wte.weight.is_meta:
            self._init_weights()

    def forward(self, input_ids: Tensor, kv_cache: KVCache | RaggedKVCache | None = None) -> Tensor:
        """Logits of the next token at each of T positions.

        With a ``kv_cache``, ``input_ids`` continue the tokens in it, and it grows by T.

        Raises:
            UserError: the sequence would be longer than ``n_positions``.
        """
        return self.logits(self.transformer(input_ids, kv_cache))

    def logits(self, hidden_states: Tensor) -> Tensor:
        """[..., n_embd] -> [..., vocab_size]."""
        return linear(hidden_states, self.output_weight)

    @property
    def output_weight(self) -> Tensor:
        """[vocab_size, n_embd]: the weight of the output layer, or the embedding if they are tied."""
        return self.transformer.wte.weight if self.config.tie_word_embeddings else self.lm_head.weight

    def _init_weights(self) -> None:
        std = self.config.initializer_range
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif name.endswith("c_proj.weight"):
                # both projections into the residual stream are scaled down with depth (GPT-2 paper, section 2.3)
                nn.init.normal_(parameter, std=std / math.sqrt(2 * self.config.n_layer))
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=std)


class Transformer(nn.Module):
    """Embeddings, blocks and the last LayerNorm: [B, T] int64 -> hidden states [B, T, n_embd]."""

    def __init__(self, config: SantaCoderConfig) -> None:
        super().__init__()
        # from_pretrained, because initialising on the meta device would import a thousand modules
        self.wte = nn.Embedding.from_pretrained(torch.empty(config.vocab_size, config.n_embd), freeze=False)
        self.wpe = nn.Embedding.from_pretrained(torch.empty(config.n_positions, config.n_embd), freeze=False)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.n_positions = config.n_positions

    def forward(self, input_ids: Tensor, kv_cache: KVCache | RaggedKVCache | None = None) -> Tensor:
        length = input_ids.shape[1]
        end = length + (kv_cache.length if kv_cache is not None else 0)
        if end > self.n_positions:
            raise UserError(f"The sequence has {end} tokens, but the model has positions for {self.n_positions}.")
        positions = self.wpe.weight[:length] if kv_cache is None else self.wpe(kv_cache.positions(length))
        hidden_states = self.wte(input_ids) + positions
        for block in self.h:
            hidden_states = block(hidden_states, kv_cache)
        if kv_cache is not None:
            kv_cache.advance(length)
        return self.ln_f(hidden_states)


class Block(nn.Module):
    def __init__(self, config: SantaCoderConfig, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(self, hidden_states: Tensor, kv_cache: KVCache | RaggedKVCache | None) -> Tensor:
        hidden_states = hidden_states + self.attn(self.ln_1(hidden_states), kv_cache)
        return hidden_states + self.mlp(self.ln_2(hidden_states))


class Attention(nn.Module):
    """Causal self-attention with one key/value head (multi-query) or one per query head (multi-head)."""

    def __init__(self, config: SantaCoderConfig, layer: int) -> None:
        super().__init__()
        self.config = config
        self.layer = layer
        self.c_attn = Linear(config.n_embd, config.n_embd + 2 * config.n_kv_head * config.head_dim)
        self.c_proj = Linear(config.n_embd, config.n_embd)

    def forward(self, hidden_states: Tensor, kv_cache: KVCache | RaggedKVCache | None) -> Tensor:
        batch_size, length, n_embd = hidden_states.shape
        query, key, value = self._split_heads(self.c_attn(hidden_states))
        if kv_cache is not None:
            key, value = kv_cache.append(self.layer, key, value)
        mask = kv_cache.mask if kv_cache is not None else None
        output = causal_attention(query, key, value, mask).transpose(1, 2)
        return self.c_proj(output.reshape(batch_size, length, n_embd))

    def _split_heads(self, fused: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T, (n_head + 2 n_kv_head) head_dim] -> query [B, n_head, T, head_dim], key and value [B, n_kv_head, ...].

        GPTBigCode's layout: ``query | key | value`` for multi-query, and ``(query, key, value)`` of head 0, then of
        head 1, and so on, for multi-head.
        """
        batch_size, length, _ = fused.shape
        n_head, head_dim = self.config.n_head, self.config.head_dim
        if self.config.multi_query:
            query, key, value = fused.split((n_head * head_dim, head_dim, head_dim), dim=-1)
            query = query.view(batch_size, length, n_head, head_dim).transpose(1, 2)
            return query, key.unsqueeze(1), value.unsqueeze(1)
        heads = fused.view(batch_size, length, n_head, 3 * head_dim).transpose(1, 2)
        query, key, value = heads.split(head_dim, dim=-1)
        return query, key, value


class MLP(nn.Module):
    def __init__(self, config: SantaCoderConfig) -> None:
        super().__init__()
        self.c_fc = Linear(config.n_embd, config.inner_dim)
        self.c_proj = Linear(config.inner_dim, config.n_embd)
        self.gelu_approximate = config.gelu_approximate

    def forward(self, hidden_states: Tensor) -> Tensor:
        inner = self.c_fc(hidden_states)
        return self.c_proj(F.gelu(inner, approximate="none" if self._may_be_exact(inner) else self.gelu_approximate))

    def _may_be_exact(self, inner: Tensor) -> bool:
        """Whether to train with the exact GELU. It differs from the approximation by at most 0.0005, less than bf16
        rounds values above 0.25, and takes a quarter of the time on a CPU (forward and backward of 8,192 rows of 1,280
        on two Zen 5 cores: 3.6 ms instead of 13).
        """
        return self.training and inner.dtype == torch.bfloat16 and inner.device.type == "cpu"
