"""Tools that a model may call: `@tool`, the picture tools, and the pixels behind them."""
