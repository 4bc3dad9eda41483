"""From a setting to a ledger of bytes: architectures, exact storage, and what is alive at each moment.

The way of an estimate, in the order in which to read it:

- `architecture` makes names and shapes of every parameter of a published config, `weights` the tensors that they are
  stored in, with their dtypes, and with the adapters of peft (`tuners` beside LoRA);
- `contexts` puts all that the rows of an estimate are worked out from into a `context`, one for each GPU that differs
  (`parallel`), by what each release of the libraries does (`libraries`);
- `layouts` and `forms` say what a family's layers are made of, and `formula` follows each part, operation by operation,
  on a `tape`, which knows what autograd keeps of it and what its backward makes;
- `programs` are the tapes of all layers and of the ends, and the moments at which the most may be alive;
- `rows` are the named causes of memory, of which a `ledger` has the bytes at each phase: `estimate` makes it;
- `replay` writes the same tapes out as allocations and releases, which go through the rules of the caching `allocator`,
  for what is reserved, and what a card shows (`device`).

`trace` has the same ledger from real training code on tensors without storage, `measure` from a GPU; `engines` are
those that claim a share of the card. A number that cannot be worked out is refused by name (`refusal`).
"""
