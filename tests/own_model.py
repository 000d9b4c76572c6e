"""An encoder of nobody's: a model type that neither transformers nor glp_export lists.

Users have such models in their own packages, registered as here. Its layers have to be found by
structure, and no exporter has a row for it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput


class OwnConfig(BertConfig):
    model_type = "own-bert"


class OwnBlock(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.attended = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.widen = nn.Linear(config.hidden_size, config.intermediate_size)
        self.narrow = nn.Linear(config.intermediate_size, config.hidden_size)
        self.last_norm = nn.LayerNorm(config.hidden_size)

    def forward(self, hidden_states: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = hidden_states.shape
        split = self.query_key_value(hidden_states).view(
            batch, length, 3, self.heads, width // self.heads
        )
        query, key, value = split.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / (width // self.heads) ** 0.5 + bias
        read = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, width)
        hidden_states = self.norm(hidden_states + self.attended(read))
        return self.last_norm(
            hidden_states + self.narrow(nn.functional.gelu(self.widen(hidden_states)))
        )


class OwnPreTrained(PreTrainedModel):
    config_class = OwnConfig
    base_model_prefix = "own"


class OwnModel(OwnPreTrained):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
        self.places = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.blocks = nn.ModuleList(OwnBlock(config) for _ in range(config.num_hidden_layers))
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        places = self.places(torch.arange(input_ids.shape[1], device=input_ids.device))
        hidden_states = self.words(input_ids) + places
        bias = (1.0 - attention_mask[:, None, None, :].to(hidden_states.dtype)) * -1e4
        for block in self.blocks:
            hidden_states = block(hidden_states, bias)
        return BaseModelOutput(last_hidden_state=hidden_states)


class OwnForSequenceClassification(OwnPreTrained):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.own = OwnModel(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        logits = self.classifier(self.own(input_ids, attention_mask)[0][:, 0])
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


@cache
def register() -> None:
    """Make transformers' auto classes know the model, as its package would."""
    AutoConfig.register("own-bert", OwnConfig)
    AutoModel.register(OwnConfig, OwnModel)
    AutoModelForSequenceClassification.register(OwnConfig, OwnForSequenceClassification)
