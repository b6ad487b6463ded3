"""Fitted models -> ONNX graphs: whatever the kind, `x` (n, d) goes in and `margin` (n, 1), the log-odds, come out.

What serves is then one runtime for every kind, and no file that could run code when it is opened.
"""

import json
from typing import Any

import numpy as np
import onnx
import xgboost
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from meteo.models.explanations import LinearReasons

OPSET, FORMAT = 15, 8
"""Of operators and of the file, old enough for every runtime of these years."""
LEAST_CHANCE = 0.001
"""A forest's averaged leaves are kept this far off 0 and 1: log-odds have no value there."""

Array = NDArray[Any]


def boosted(booster: xgboost.Booster) -> bytes:
    """The graph of a booster with a logistic objective: its raw score is the log-odds."""
    graph = _score(booster)
    graph.graph.node[-1].output[0] = "margin"
    return _finished(graph, booster.num_features())


def forest(booster: xgboost.Booster) -> bytes:
    """The graph of trees whose score is the chance itself."""
    graph = _score(booster)
    graph.graph.node[-1].output[0] = "score"
    graph.graph.initializer.extend(
        [
            _constant("least", np.float32(LEAST_CHANCE)),
            _constant("most", np.float32(1 - LEAST_CHANCE)),
            _constant("one", np.float32(1)),
        ]
    )
    graph.graph.node.extend(
        [
            helper.make_node("Clip", ["score", "least", "most"], ["chance"]),
            helper.make_node("Sub", ["one", "chance"], ["dry"]),
            helper.make_node("Div", ["chance", "dry"], ["odds"]),
            helper.make_node("Log", ["odds"], ["margin"]),
        ]
    )
    return _finished(graph, booster.num_features())


def linear(reasons: LinearReasons) -> bytes:
    """The graph of a linear model that replaces what is missing and knows that it was."""
    weight, gap = np.array(reasons.weight), np.array(reasons.gap)
    fill, mean = np.array(reasons.fill), np.array(reasons.mean)
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "fill", "x"], ["known"]),
        helper.make_node("Sub", ["known", "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "weight"], ["of_values"]),
        helper.make_node("Cast", ["missing"], ["gaps"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["gaps", "gap"], ["of_gaps"]),
        helper.make_node("Add", ["of_values", "of_gaps"], ["effects"]),
        helper.make_node("Add", ["effects", "base"], ["margin"]),
    ]
    constants = [
        _constant("fill", fill.astype(np.float32)),
        _constant("mean", mean.astype(np.float32)),
        _constant("weight", weight.astype(np.float32)[:, None]),
        _constant("gap", gap.astype(np.float32)[:, None]),
        _constant("base", np.float32(reasons.base)),
    ]
    graph = helper.make_graph(nodes, "linear", [], [], constants)
    return _finished(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]), len(weight))


def _score(booster: xgboost.Booster) -> onnx.ModelProto:
    """The trees' raw score. The converter puts the objective's own link behind it, so it is given trees of none."""
    text = json.loads(bytes(booster.save_raw("json")))
    learner = text["learner"]
    if learner["objective"]["name"] == "binary:logistic":
        rate = float(learner["learner_model_param"]["base_score"].strip("[]"))
        learner["learner_model_param"]["base_score"] = f"[{np.log(rate / (1 - rate)):.9E}]"
    learner["objective"] = {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}
    learner["feature_names"] = learner["feature_types"] = []
    plain = xgboost.Booster(model_file=bytearray(json.dumps(text), "utf-8"))
    shape = FloatTensorType([None, booster.num_features()])
    graph: onnx.ModelProto = convert_xgboost(plain, initial_types=[("x", shape)], target_opset=OPSET)
    return graph


def _finished(model: onnx.ModelProto, width: int) -> bytes:
    rows = "n"
    del model.graph.input[:], model.graph.output[:]
    model.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, width]))
    model.graph.output.append(helper.make_tensor_value_info("margin", TensorProto.FLOAT, [rows, 1]))
    model.ir_version = FORMAT
    if "" not in {known.domain for known in model.opset_import}:
        model.opset_import.append(helper.make_opsetid("", OPSET))
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _constant(name: str, value: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)
