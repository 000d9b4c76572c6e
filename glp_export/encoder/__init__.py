"""The PyTorch side: checkpoints, the layer stack, fine-tuning, distilling, predicting."""

from glp_export.encoder.bf16 import autocast
from glp_export.encoder.checkpoint import (
    Loaded,
    checksum,
    load_checkpoint,
    load_model,
    load_tokenizer,
    match_inputs,
    save_checkpoint,
    tokenizer_checksum,
)
from glp_export.encoder.distillation import DistillSettings, distill
from glp_export.encoder.families import FAMILIES, Family
from glp_export.encoder.hidden_states import HiddenStates
from glp_export.encoder.layer_stack import (
    LayerStack,
    find_layer_stack,
    remove_layers,
    require_removable,
)
from glp_export.encoder.loader_files import write_loader_files
from glp_export.encoder.model_files import infer_kind, mark_kind
from glp_export.encoder.model_source import ModelSource, commit_of, find_file, require_model
from glp_export.encoder.own_task import own_task
from glp_export.encoder.random_init import random_init_reference, random_rows, task_of_model
from glp_export.encoder.recovery import RECOVERIES, Recovery, TrainingInputs
from glp_export.encoder.regulariser import Regulariser
from glp_export.encoder.schedule import RATES, Schedule, schedule_for
from glp_export.encoder.scoring import predict, predict_with_features
from glp_export.encoder.threads import torch_threads
from glp_export.encoder.train_settings import TrainSettings
from glp_export.encoder.training import finetune
from glp_export.encoder.transfer import (
    AuxiliaryRows,
    JointTasks,
    learn_first,
    row_losses,
    with_head_for,
)
from glp_export.encoder.watched_training import Watch

__all__ = [
    "FAMILIES",
    "RATES",
    "RECOVERIES",
    "AuxiliaryRows",
    "DistillSettings",
    "Family",
    "HiddenStates",
    "JointTasks",
    "LayerStack",
    "Loaded",
    "ModelSource",
    "Recovery",
    "Regulariser",
    "Schedule",
    "TrainSettings",
    "TrainingInputs",
    "Watch",
    "autocast",
    "checksum",
    "commit_of",
    "distill",
    "find_file",
    "find_layer_stack",
    "finetune",
    "infer_kind",
    "learn_first",
    "load_checkpoint",
    "load_model",
    "load_tokenizer",
    "mark_kind",
    "match_inputs",
    "own_task",
    "predict",
    "predict_with_features",
    "random_init_reference",
    "random_rows",
    "remove_layers",
    "require_model",
    "require_removable",
    "row_losses",
    "save_checkpoint",
    "schedule_for",
    "task_of_model",
    "tokenizer_checksum",
    "torch_threads",
    "with_head_for",
    "write_loader_files",
]
