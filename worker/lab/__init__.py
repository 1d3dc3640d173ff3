"""Makes and judges emotion models: corpora, splits, training, figures. Nothing that hears a live room imports it."""
