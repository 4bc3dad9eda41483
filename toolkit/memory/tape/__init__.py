"""Operations in the order in which PyTorch runs them, and what they keep alive."""
