"""The step of `nativo bench step` by Hugging Face's Trainer, or by PEFT under it, on made-up tokens.

    python3 trainer_step.py CONFIG.json --batch 8 --seq 2048 --steps 10 [--device cuda] [--method lora --rank 16]

CONFIG.json is a model's config.json. Prints one line of JSON: seconds of each step after two that warm up, and
the most memory held. On a GPU weights are bf16 (so are AdamW's moments then), and attention is flash attention
where that package is installed, else PyTorch's own; on the CPU all is f32.
"""
import argparse
import json
import resource
import tempfile
import time

WARM_UP = 2


def attention(torch):
    if not torch.cuda.is_available():
        return "sdpa"
    try:
        import flash_attn  # noqa: F401
        return "flash_attention_2"
    except ImportError:
        return "sdpa"


def make_model(options, torch, transformers):
    with open(options.config) as file:
        values = json.load(file)
    config = transformers.AutoConfig.for_model(values.pop("model_type"), **values)
    on_gpu = options.device == "cuda"
    kind = torch.bfloat16 if on_gpu else torch.float32
    way = attention(torch)
    if options.method == "qlora-nf4":
        # Only what was quantised while it was read is: the random model goes through a folder.
        with tempfile.TemporaryDirectory() as folder:
            transformers.AutoModelForCausalLM.from_config(config, dtype=kind).save_pretrained(folder)
            four = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",
                                                   bnb_4bit_compute_dtype=kind)
            return transformers.AutoModelForCausalLM.from_pretrained(
                folder, quantization_config=four, dtype=kind, attn_implementation=way), way
    with torch.device(options.device):
        return transformers.AutoModelForCausalLM.from_config(config, dtype=kind, attn_implementation=way), way


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seq", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--method", choices=["full", "lora", "qlora-nf4"], default="full")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--optimizer", default="adamw_torch_fused", help="as TrainingArguments.optim names it")
    parser.add_argument("--checkpointing", action="store_true", help="recompute every block")
    options = parser.parse_args()

    import torch
    import transformers

    if options.threads > 0:
        torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model, way = make_model(options, torch, transformers)
    model.config.use_cache = False
    if options.method != "full":
        import peft
        if options.method == "qlora-nf4":
            model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=options.checkpointing)
        elif options.checkpointing:
            model.enable_input_require_grads()
        model = peft.get_peft_model(model, peft.LoraConfig(r=options.rank, lora_alpha=2 * options.rank,
                                                           target_modules="all-linear", task_type="CAUSAL_LM"))
    words = model.config.vocab_size
    rows = torch.randint(0, words, (options.batch * (WARM_UP + options.steps), options.seq))
    data = [{"input_ids": row, "labels": row} for row in rows]
    moments = []

    class Clock(transformers.TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.now()

        def on_step_end(self, *_, **__):
            self.now()

        @staticmethod
        def now():
            if options.device == "cuda":
                torch.cuda.synchronize()
            moments.append(time.monotonic())

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=options.batch, max_steps=WARM_UP + options.steps,
            learning_rate=1e-5, weight_decay=0.1, max_grad_norm=1.0, optim=options.optimizer,
            bf16=options.device == "cuda", use_cpu=options.device == "cpu", save_strategy="no", report_to=[],
            logging_strategy="no", disable_tqdm=True, dataloader_pin_memory=options.device == "cuda",
            gradient_checkpointing=options.checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False} if options.checkpointing else None)
        trainer = transformers.Trainer(model=model, args=arguments, train_dataset=data, callbacks=[Clock()])
        done = trainer.train()
    seconds = [end - begin for begin, end in zip(moments[0::2], moments[1::2])][WARM_UP:]
    memory = torch.cuda.max_memory_reserved() if options.device == "cuda" else \
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({
        "seconds": seconds, "tokens": options.batch * options.seq, "bytes": memory, "loss": done.training_loss,
        "attention": way, "parameters": sum(p.numel() for p in model.parameters()),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}))


if __name__ == "__main__":
    main()
