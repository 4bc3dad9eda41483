"""From a setting to a ledger of bytes: architectures, exact storage, and what is alive at each moment.

The steps of an estimate, in the order in which to read them:

- `architecture` derives the name and shape of every parameter from a published config; `weights` gives the tensors
  that store them, with their dtypes and with peft's adapters (`tuners` for methods other than LoRA).
- `contexts` collects the inputs of all rows in a `context`, one for each GPU that differs (`parallel`), by what each
  release of the libraries does (`libraries`).
- `layouts` and `forms` describe the parts of a family's layers. `formula` follows each part, operation by operation,
  on a `tape`, which tracks what autograd saves and what backward allocates.
- `programs` are the tapes of all layers and of the model's ends, and the moments at which the most may be alive.
- `rows` are the named causes of memory; a `ledger` has their bytes in each phase, and `estimate` makes it.
- `replay` writes the same tapes out as allocations and releases and runs them through the rules of torch's caching
  `allocator`, for reserved memory and for what a card shows (`device`).

`trace` makes the same ledger from real training code on tensors without storage, `measure` from a GPU. `engines` are
inference engines that claim a share of the card. What no formula covers is refused by name (`refusal`).
"""
