"""Kronecker products in place of dense matrices: the nearest one, and modules that compute it.

W ≈ Σₜ Aₜ ⊗ Bₜ, found by the singular vectors of the rearranged matrix (Van Loan and Pitsianis,
Approximation with Kronecker Products, 1993) and applied without multiplying it out:
(A ⊗ B) vec(X) = vec(A X Bᵀ) for rows of X read one after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glp_export.core.errors import ModelError

Size = tuple[int, int]


def nearest_kronecker(matrix: Tensor, inner: Size, terms: int = 1) -> tuple[Tensor, Tensor]:
    """The sum of Kronecker products nearest to a matrix in the Frobenius norm.

    Args:
        matrix: `(m, n)`.
        inner: rows and columns of each B; they divide m and n.
        terms: products in the sum, at most as many as the smaller factor has entries.

    Returns:
        A `(terms, m / rows, n / columns)` and B `(terms, rows, columns)`, of the matrix's type;
        both factors of a term have the same norm.

    Raises:
        ModelError: see `outer_size`; or more terms than there can be.
    """
    (rows, columns), (outer_rows, outer_columns) = inner, outer_size(tuple(matrix.shape), inner)
    check_terms(tuple(matrix.shape), inner, terms)
    blocks = matrix.detach().double().reshape(outer_rows, rows, outer_columns, columns)
    rearranged = blocks.transpose(1, 2).reshape(outer_rows * outer_columns, rows * columns)
    outer, small = _leading_terms(rearranged, terms)
    return (
        outer.T.reshape(terms, outer_rows, outer_columns).to(matrix.dtype).contiguous(),
        small.T.reshape(terms, rows, columns).to(matrix.dtype).contiguous(),
    )


def outer_size(whole: tuple[int, ...], inner: Size) -> Size:
    """Rows and columns of A, given those of the product and of B.

    Raises:
        ModelError: B's do not divide them.
    """
    if whole[0] % inner[0] or whole[1] % inner[1]:
        raise ModelError(
            f"a matrix of {whole[0]}×{whole[1]} has no Kronecker factor of {inner[0]}×{inner[1]}: "
            "its rows and columns do not divide",
            fix="choose factors that divide the width of the model and of its feed-forward layers",
        )
    return whole[0] // inner[0], whole[1] // inner[1]


def check_terms(whole: tuple[int, ...], factor: Size, terms: int) -> None:
    """Check that a matrix with a factor of some size is a sum of so many products.

    Raises:
        ModelError: more than the smaller factor has entries.
    """
    rows, columns = factor
    most = min(rows * columns, whole[0] * whole[1] // (rows * columns))
    if not 1 <= terms <= most:
        raise ModelError(
            f"a matrix of {whole[0]}×{whole[1]} with a factor of {rows}×{columns} is "
            f"a sum of 1 to {most} Kronecker products, not of {terms}",
            fix=f"ask for at most {most} terms",
        )


def _leading_terms(matrix: Tensor, terms: int) -> tuple[Tensor, Tensor]:
    """The leading singular vectors as columns, each scaled by the root of its singular value.

    From the eigenvectors of the smaller Gram matrix: the sides are as unequal as a whole
    vocabulary times its width against eight.
    """
    if matrix.shape[0] < matrix.shape[1]:
        right, left = _leading_terms(matrix.T, terms)
        return left, right
    _, vectors = torch.linalg.eigh(matrix.T @ matrix)
    right = vectors[:, -terms:].flip(1)
    scaled = matrix @ right
    roots = scaled.norm(dim=0).sqrt()
    # A matrix of lower rank needs no more terms: the others are zero.
    return scaled / roots.clamp_min(torch.finfo(roots.dtype).tiny), right * roots


class KroneckerLinear(nn.Module):
    """A linear layer whose weight is a sum of Kronecker products.

    Args:
        in_features: n, columns of the weight.
        out_features: m, its rows.
        inner: rows and columns of each B.
        terms: products in the sum.
        bias: whether something is added.

    Raises:
        ModelError: the size of B does not divide that of the weight.
    """

    def __init__(
        self, in_features: int, out_features: int, inner: Size, terms: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        rows, columns = outer_size((out_features, in_features), inner)
        self.in_features, self.out_features = in_features, out_features
        self.outer = nn.Parameter(torch.empty(terms, rows, columns))
        self.inner = nn.Parameter(torch.empty(terms, *inner))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        # Entries of a product are a sum of `terms` products of two: as wide as nn.Linear's.
        scale = (1 / (3 * in_features * terms)) ** 0.25
        nn.init.normal_(self.outer, std=scale)
        nn.init.normal_(self.inner, std=scale)
        # Multiplications a row when B comes first, and when A does.
        of_inner = columns * inner[1] * inner[0] + inner[0] * columns * rows
        of_outer = inner[1] * columns * rows + rows * inner[1] * inner[0]
        self.inner_first = of_inner <= of_outer

    @classmethod
    def of(cls, linear: nn.Linear, inner: Size, terms: int = 1) -> KroneckerLinear:
        """The nearest to a dense layer, with its bias, type and device."""
        module = cls.like(linear, inner, terms)
        with torch.no_grad():
            outer, small = nearest_kronecker(linear.weight, inner, terms)
            module.outer.copy_(outer)
            module.inner.copy_(small)
            if linear.bias is not None and module.bias is not None:
                module.bias.copy_(linear.bias)
        return module

    @classmethod
    def like(cls, linear: nn.Linear, inner: Size, terms: int = 1) -> KroneckerLinear:
        """One of the same size with random factors, for weights that are loaded later."""
        biased = linear.bias is not None
        module = cls(linear.in_features, linear.out_features, inner, terms, bias=biased)
        return module.to(linear.weight.device, linear.weight.dtype).train(linear.training)

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply it: `(…, in_features)` to `(…, out_features)`."""
        terms, rows, columns = self.outer.shape
        small_rows, small_columns = self.inner.shape[1:]
        blocks = inputs.reshape(-1, columns, small_columns)
        if self.inner_first:
            small = self.inner.permute(2, 0, 1).reshape(small_columns, terms * small_rows)
            outer = self.outer.permute(2, 0, 1).reshape(columns * terms, rows)
            halfway = (blocks @ small).reshape(-1, columns * terms, small_rows)
            product = (halfway.transpose(1, 2) @ outer).transpose(1, 2)
        else:
            outer = self.outer.permute(2, 0, 1).reshape(columns, terms * rows)
            small = self.inner.permute(2, 0, 1).reshape(small_columns * terms, small_rows)
            halfway = (blocks.transpose(1, 2) @ outer).reshape(-1, small_columns * terms, rows)
            product = halfway.transpose(1, 2) @ small
        outputs = product.reshape(*inputs.shape[:-1], self.out_features)
        return outputs if self.bias is None else outputs + self.bias

    def dense_weight(self) -> Tensor:
        """The weight, multiplied out: `(out_features, in_features)`."""
        product = torch.einsum("tac,tbd->abcd", self.outer, self.inner)
        return product.reshape(self.out_features, self.in_features)

    def to_dense(self) -> nn.Linear:
        """The stock layer that computes the same."""
        with torch.device(self.outer.device):
            linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        linear.to(self.outer.dtype).train(self.training)
        with torch.no_grad():
            linear.weight.copy_(self.dense_weight())
            if self.bias is not None:
                linear.bias.copy_(self.bias)
        return linear

    def extra_repr(self) -> str:
        """The sizes of the factors."""
        terms, rows, columns = self.outer.shape
        small = "×".join(map(str, self.inner.shape[1:]))
        return f"{self.in_features}, {self.out_features}, {terms} × ({rows}×{columns} ⊗ {small})"


class KroneckerEmbedding(nn.Module):
    """An embedding as a table of width d / n, times one row of n that all tokens share.

    Args:
        num_embeddings: v.
        embedding_dim: d.
        row: n.
        padding_idx: row of the table that training leaves alone.

    Raises:
        ModelError: n does not divide d.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, row: int, padding_idx: int | None = None
    ) -> None:
        super().__init__()
        _, width = outer_size((num_embeddings, embedding_dim), (1, row))
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.table = nn.Embedding(num_embeddings, width, padding_idx=padding_idx)
        self.row = nn.Parameter(torch.ones(row))

    @property
    def padding_idx(self) -> int | None:
        """The token of padding, as in nn.Embedding."""
        return self.table.padding_idx

    @classmethod
    def of(cls, embedding: nn.Embedding, row: int) -> KroneckerEmbedding:
        """The nearest to a dense embedding."""
        module = cls.like(embedding, row)
        with torch.no_grad():
            outer, small = nearest_kronecker(embedding.weight, (1, row))
            module.table.weight.copy_(outer[0])
            module.row.copy_(small[0, 0])
        return module

    @classmethod
    def like(cls, embedding: nn.Embedding, row: int) -> KroneckerEmbedding:
        """One of the same size with a random table, for weights that are loaded later."""
        sizes = embedding.num_embeddings, embedding.embedding_dim
        module = cls(*sizes, row, embedding.padding_idx)
        return module.to(embedding.weight.device, embedding.weight.dtype).train(embedding.training)

    def forward(self, numbers: Tensor) -> Tensor:
        """Look tokens up: `(…)` int64 to `(…, embedding_dim)`."""
        products = self.table(numbers).unsqueeze(-1) * self.row
        return products.reshape(*numbers.shape, self.embedding_dim)

    def to_dense(self) -> nn.Embedding:
        """The stock embedding that computes the same."""
        with torch.no_grad():
            weight = torch.kron(self.table.weight, self.row[None])
        dense = nn.Embedding(
            self.num_embeddings, self.embedding_dim, padding_idx=self.padding_idx, _weight=weight
        )
        return dense.train(self.training)
