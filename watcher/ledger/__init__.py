"""The only SQL of the project: one file, one writer, every change with its proof."""
