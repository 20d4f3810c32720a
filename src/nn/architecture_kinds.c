/* nn/architecture_kinds.c: the known families, one after the other: what they are called, how their tensors are named
 * by those who publish them, where their dimensions stand. See nn/architecture.h.
 *
 * Names alone must tell families apart, because many files come without a config.json; so those whose names contain
 * another's stand before it (Chinese-CLIP has a BERT inside, Qwen2 is a Llama with biases). */
#include "nn/architecture.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- text ---- */

static const architecture_dimension bert_dimensions[] = {
    {.name = "width",
     .config = "hidden_size",
     .gguf = "embedding_length",
     .sizes = {{"embeddings.word_embeddings.weight", 1}, {"token_embd.weight", 1}}},
    {.name = "layers", .config = "num_hidden_layers", .gguf = "block_count", .counted = {"encoder.layer.", "blk."}},
    {.name = "heads", .config = "num_attention_heads", .gguf = "attention.head_count"},
    {.name = "feed_forward",
     .config = "intermediate_size",
     .gguf = "feed_forward_length",
     .sizes = {{"encoder.layer.0.intermediate.dense.weight", 0}, {"blk.0.ffn_up.weight", 0}}},
    {.name = "positions",
     .config = "max_position_embeddings",
     .gguf = "context_length",
     .sizes = {{"embeddings.position_embeddings.weight", 0}, {"position_embd.weight", 0}}},
    {.name = "vocabulary",
     .config = "vocab_size",
     .gguf = "tokenizer.ggml.tokens",
     .sizes = {{"embeddings.word_embeddings.weight", 0}, {"token_embd.weight", 0}}},
    {0}};

/* RoBERTa has one kind of segment where BERT has two; its positions begin behind the padding id. */
static const architecture_layout xlm_roberta_layouts[] = {
    {.name = "transformers",
     .ends = {"embeddings.token_type_embeddings.weight", "embeddings.word_embeddings.weight",
              "encoder.layer.0.attention.self.query.weight"},
     .first = 1},
    {0}};

static const architecture_kind architecture_xlm_roberta = {
    .name = "xlm_roberta",
    .summary = "text encoder, BERT with RoBERTa's positions: XLM-R, multilingual E5, BGE-M3",
    .modality = "text",
    .model_types = NAMES("xlm-roberta", "roberta"),
    .layouts = xlm_roberta_layouts,
    .dimensions = bert_dimensions,
};

static const architecture_layout bert_layouts[] = {
    {.name = "transformers",
     .ends = {"embeddings.token_type_embeddings.weight", "embeddings.word_embeddings.weight",
              "encoder.layer.0.attention.self.query.weight"}},
    {.name = "gguf", .ends = {"token_types.weight", "token_embd.weight", "blk.0.attn_q.weight"}},
    {0}};

static const architecture_kind architecture_bert = {
    .name = "bert",
    .summary = "text encoder: BERT, MiniLM, E5, BGE, Chinese BERT (Devlin et al. 2018)",
    .modality = "text",
    .model_types = NAMES("bert"),
    .gguf_names = NAMES("bert"),
    .layouts = bert_layouts,
    .dimensions = bert_dimensions,
};

static const architecture_dimension llama_dimensions[] = {
    {.name = "width",
     .config = "hidden_size",
     .gguf = "embedding_length",
     .sizes = {{"embed_tokens.weight", 1}, {"token_embd.weight", 1}}},
    {.name = "layers", .config = "num_hidden_layers", .gguf = "block_count", .counted = {"layers.", "blk."}},
    {.name = "heads", .config = "num_attention_heads", .gguf = "attention.head_count"},
    {.name = "key_value_heads", .config = "num_key_value_heads", .gguf = "attention.head_count_kv"},
    {.name = "feed_forward",
     .config = "intermediate_size",
     .gguf = "feed_forward_length",
     .sizes = {{"layers.0.mlp.gate_proj.weight", 0}, {"blk.0.ffn_gate.weight", 0}}},
    {.name = "positions", .config = "max_position_embeddings", .gguf = "context_length"},
    {.name = "vocabulary",
     .config = "vocab_size",
     .gguf = "tokenizer.ggml.tokens",
     .sizes = {{"embed_tokens.weight", 0}, {"token_embd.weight", 0}}},
    {0}};

static const architecture_layout qwen2_layouts[] = {
    {.name = "transformers",
     .ends = {"layers.0.self_attn.q_proj.bias", "embed_tokens.weight", "layers.0.mlp.gate_proj.weight"}},
    {.name = "gguf", .ends = {"blk.0.attn_q.bias", "token_embd.weight", "blk.0.ffn_gate.weight"}},
    {0}};

static const architecture_kind architecture_qwen2 = {
    .name = "qwen2",
    .summary = "language model: Qwen2 and Qwen2.5, Llama with biases on queries, keys and values (Yang et al. 2024)",
    .modality = "text",
    .model_types = NAMES("qwen2"),
    .gguf_names = NAMES("qwen2"),
    .layouts = qwen2_layouts,
    .dimensions = llama_dimensions,
};

static const architecture_layout llama_layouts[] = {
    {.name = "transformers",
     .ends = {"layers.0.self_attn.q_proj.weight", "embed_tokens.weight", "layers.0.mlp.gate_proj.weight"}},
    {.name = "gguf", .ends = {"blk.0.attn_q.weight", "token_embd.weight", "blk.0.ffn_gate.weight"}},
    {0}};

static const architecture_kind architecture_llama = {
    .name = "llama",
    .summary = "language model: Llama, TinyLlama, SmolLM (Touvron et al. 2023)",
    .modality = "text",
    .model_types = NAMES("llama"),
    .gguf_names = NAMES("llama"),
    .layouts = llama_layouts,
    .dimensions = llama_dimensions,
};

/* ---- pictures and text in one space ---- */

#define IMAGE_CONFIG(member) "vision_config." member
#define TEXT_CONFIG(member) "text_config." member

/* One table for the three families: a dimension that a family has not is found nowhere. */
static const architecture_dimension two_tower_dimensions[] = {
    {.name = "embedding",
     .config = "projection_dim",
     .sizes = {{"visual_projection.weight", 0}, {"text_projection.weight", 0}, {"text_projection", 1}}},
    {.name = "image_size", .config = IMAGE_CONFIG("image_size")},
    {.name = "patch",
     .config = IMAGE_CONFIG("patch_size"),
     .sizes = {{"vision_model.embeddings.patch_embedding.weight", 2}, {"visual.conv1.weight", 2}}},
    {.name = "image_width",
     .config = IMAGE_CONFIG("hidden_size"),
     .sizes = {{"vision_model.embeddings.patch_embedding.weight", 0}, {"visual.conv1.weight", 0}}},
    {.name = "image_layers",
     .config = IMAGE_CONFIG("num_hidden_layers"),
     .counted = {"vision_model.encoder.layers.", "visual.transformer.resblocks."}},
    {.name = "image_heads", .config = IMAGE_CONFIG("num_attention_heads")},
    {.name = "text_width",
     .config = TEXT_CONFIG("hidden_size"),
     .sizes = {{"text_model.embeddings.token_embedding.weight", 1},
               {"token_embedding.weight", 1},
               {"text_model.embeddings.word_embeddings.weight", 1},
               {"bert.embeddings.word_embeddings.weight", 1}}},
    {.name = "text_layers",
     .config = TEXT_CONFIG("num_hidden_layers"),
     .counted = {"text_model.encoder.layers.", "transformer.resblocks.", "text_model.encoder.layer.",
                 "bert.encoder.layer."}},
    {.name = "text_heads", .config = TEXT_CONFIG("num_attention_heads")},
    {.name = "positions",
     .config = TEXT_CONFIG("max_position_embeddings"),
     .sizes = {{"text_model.embeddings.position_embedding.weight", 0},
               {"positional_embedding", 0},
               {"text_model.embeddings.position_embeddings.weight", 0},
               {"bert.embeddings.position_embeddings.weight", 0}}},
    {.name = "vocabulary",
     .config = TEXT_CONFIG("vocab_size"),
     .sizes = {{"text_model.embeddings.token_embedding.weight", 0},
               {"token_embedding.weight", 0},
               {"text_model.embeddings.word_embeddings.weight", 0},
               {"bert.embeddings.word_embeddings.weight", 0}}},
    {0}};

/* The towers are published alone as well; transformers 5 writes them without the tower's name in front, and what they
 * measure is then in config.json alone. */
static const architecture_layout clip_layouts[] = {
    {.name = "transformers",
     .ends = {"vision_model.embeddings.class_embedding", "text_model.embeddings.token_embedding.weight"}},
    {.name = "transformers, image tower",
     .ends = {"vision_model.embeddings.class_embedding", "vision_model.pre_layrnorm.weight"}},
    {.name = "transformers, text tower",
     .ends = {"text_model.embeddings.token_embedding.weight", "text_model.encoder.layers.0.self_attn.q_proj.weight"}},
    {.name = "transformers 5, image tower", .ends = {"embeddings.class_embedding", "pre_layrnorm.weight"}},
    {.name = "transformers 5, text tower",
     .ends = {"embeddings.token_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight",
              "final_layer_norm.weight"},
     .absent = "head.weight"},
    {.name = "openclip", .ends = {"visual.class_embedding", "token_embedding.weight", "text_projection"}},
    {0}};

static const architecture_kind architecture_clip = {
    .name = "clip",
    .summary = "pictures and text in one space: OpenAI's CLIP, OpenCLIP (Radford et al. 2021)",
    .modality = "image, text",
    .model_types = NAMES("clip", "clip_vision_model", "clip_text_model"),
    .layouts = clip_layouts,
    .dimensions = two_tower_dimensions,
};

static const architecture_layout chinese_clip_layouts[] = {
    {.name = "transformers",
     .ends = {"vision_model.embeddings.class_embedding", "text_model.embeddings.word_embeddings.weight"}},
    {.name = "ofa-sys", .ends = {"visual.class_embedding", "bert.embeddings.word_embeddings.weight"}},
    {0}};

static const architecture_kind architecture_chinese_clip = {
    .name = "chinese_clip",
    .summary = "pictures and Chinese text in one space: CLIP with a BERT for text (Yang et al. 2022)",
    .modality = "image, text",
    .model_types = NAMES("chinese_clip"),
    .layouts = chinese_clip_layouts,
    .dimensions = two_tower_dimensions,
};

static const architecture_layout siglip_layouts[] = {
    {.name = "transformers", .ends = {"vision_model.head.probe", "text_model.head.weight"}},
    {.name = "transformers, image tower", .ends = {"vision_model.head.probe"}},
    {.name = "transformers, text tower", .ends = {"text_model.head.weight", "text_model.final_layer_norm.weight"}},
    {.name = "transformers 5, image tower", .ends = {"head.probe"}},
    {.name = "transformers 5, text tower",
     .ends = {"embeddings.token_embedding.weight", "head.weight", "final_layer_norm.weight"}},
    {0}};

static const architecture_kind architecture_siglip = {
    .name = "siglip",
    .summary = "pictures and text in one space, trained pair by pair with a sigmoid (Zhai et al. 2023)",
    .modality = "image, text",
    .model_types = NAMES("siglip", "siglip_vision_model", "siglip_text_model"),
    .layouts = siglip_layouts,
    .dimensions = two_tower_dimensions,
};

/* ---- pictures ---- */

static const architecture_dimension vit_dimensions[] = {
    {.name = "width",
     .config = "hidden_size",
     .sizes = {{"embeddings.patch_embeddings.projection.weight", 0}, {"patch_embed.proj.weight", 0}}},
    {.name = "layers", .config = "num_hidden_layers", .counted = {"encoder.layer.", "blocks."}},
    {.name = "heads", .config = "num_attention_heads"},
    {.name = "feed_forward",
     .config = "intermediate_size",
     .sizes = {{"encoder.layer.0.intermediate.dense.weight", 0}, {"blocks.0.mlp.fc1.weight", 0}}},
    {.name = "image_size", .config = "image_size"},
    {.name = "patch",
     .config = "patch_size",
     .sizes = {{"embeddings.patch_embeddings.projection.weight", 2}, {"patch_embed.proj.weight", 2}}},
    {.name = "classes", .sizes = {{"classifier.weight", 0}, {"head.weight", 0}}},
    {0}};

static const architecture_layout vit_layouts[] = {
    {.name = "transformers",
     .ends = {"embeddings.cls_token", "embeddings.patch_embeddings.projection.weight",
              "encoder.layer.0.layernorm_before.weight"}},
    {.name = "timm", .ends = {"cls_token", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"}},
    {0}};

static const architecture_kind architecture_vit = {
    .name = "vit",
    .summary = "picture encoder, a transformer over patches (Dosovitskiy et al. 2020)",
    .modality = "image",
    .model_types = NAMES("vit"),
    .layouts = vit_layouts,
    .dimensions = vit_dimensions,
};

static const architecture_dimension resnet_dimensions[] = {
    {.name = "stem",
     .config = "embedding_size",
     .sizes = {{"embedder.embedder.convolution.weight", 0}, {"conv1.weight", 0}}},
    {.name = "stages", .counted = {"encoder.stages."}},
    {.name = "embedding", .sizes = {{"classifier.1.weight", 1}, {"fc.weight", 1}}},
    {.name = "classes", .sizes = {{"classifier.1.weight", 0}, {"fc.weight", 0}}},
    {0}};

static const architecture_layout resnet_layouts[] = {
    {.name = "transformers",
     .ends = {"embedder.embedder.convolution.weight", "encoder.stages.0.layers.0.layer.0.convolution.weight"}},
    {.name = "torchvision", .ends = {"conv1.weight", "layer1.0.conv1.weight", "layer4.0.conv1.weight", "fc.weight"}},
    {0}};

static const architecture_kind architecture_resnet = {
    .name = "resnet",
    .summary = "picture encoder, convolutions with residuals (He et al. 2015)",
    .modality = "image",
    .model_types = NAMES("resnet"),
    .layouts = resnet_layouts,
    .dimensions = resnet_dimensions,
};

static const architecture_dimension mobilenet_v2_dimensions[] = {
    {.name = "image_size", .config = "image_size"},
    {.name = "embedding", .sizes = {{"conv_head.weight", 0}, {"conv_1x1.convolution.weight", 0}}},
    {.name = "classes", .sizes = {{"classifier.weight", 0}}},
    {0}};

/* EfficientNet and MobileNetV3 use the same names, and squeeze and excite. */
static const architecture_layout mobilenet_v2_layouts[] = {
    {.name = "timm",
     .ends = {"conv_stem.weight", "blocks.1.0.conv_pwl.weight", "conv_head.weight"},
     .absent = "blocks.2.0.se.conv_reduce.weight"},
    {.name = "transformers", .ends = {"conv_stem.first_conv.convolution.weight", "conv_1x1.convolution.weight"}},
    {0}};

static const architecture_kind architecture_mobilenet_v2 = {
    .name = "mobilenet_v2",
    .summary = "small picture encoder, inverted residuals (Sandler et al. 2018)",
    .modality = "image",
    .model_types = NAMES("mobilenet_v2"),
    .layouts = mobilenet_v2_layouts,
    .dimensions = mobilenet_v2_dimensions,
};

/* ---- sound ---- */

static const architecture_dimension yamnet_dimensions[] = {{.name = "mels", .sizes = {{"mel.weight", 0}}},
                                                           {.name = "embedding", .sizes = {{"classifier.weight", 1}}},
                                                           {.name = "classes", .sizes = {{"classifier.weight", 0}}},
                                                           {0}};

static const architecture_layout yamnet_layouts[] = {
    {.name = "medley",
     .ends = {"layer1.conv.weight", "layer2.depthwise.weight", "layer14.pointwise.weight", "classifier.weight"}},
    {0}};

static const architecture_kind architecture_yamnet = {
    .name = "yamnet",
    .summary = "small sound encoder, MobileNet on log-mel patches, 521 AudioSet classes (Plakal & Ellis 2019)",
    .modality = "audio",
    .model_types = NAMES("yamnet"),
    .layouts = yamnet_layouts,
    .dimensions = yamnet_dimensions,
};

static const architecture_dimension whisper_dimensions[] = {
    {.name = "width", .config = "d_model", .sizes = {{"encoder.conv1.weight", 0}}},
    {.name = "layers", .config = "encoder_layers", .counted = {"encoder.layers."}},
    {.name = "heads", .config = "encoder_attention_heads"},
    {.name = "feed_forward", .config = "encoder_ffn_dim", .sizes = {{"encoder.layers.0.fc1.weight", 0}}},
    {.name = "mels", .config = "num_mel_bins", .sizes = {{"encoder.conv1.weight", 1}}},
    {.name = "positions", .config = "max_source_positions", .sizes = {{"encoder.embed_positions.weight", 0}}},
    {.name = "decoder_layers", .config = "decoder_layers", .counted = {"decoder.layers."}},
    {.name = "vocabulary", .config = "vocab_size", .sizes = {{"decoder.embed_tokens.weight", 0}}},
    {0}};

static const architecture_layout whisper_layouts[] = {
    {.name = "transformers",
     .ends = {"encoder.conv1.weight", "encoder.conv2.weight", "encoder.layers.0.self_attn.q_proj.weight"}},
    {0}};

static const architecture_kind architecture_whisper = {
    .name = "whisper",
    .summary = "speech encoder (and decoder), a transformer over log-mel frames (Radford et al. 2022)",
    .modality = "audio",
    .model_types = NAMES("whisper"),
    .layouts = whisper_layouts,
    .dimensions = whisper_dimensions,
};

const architecture_kind *const architecture_kinds[] = {
    &architecture_chinese_clip,
    &architecture_siglip,
    &architecture_clip,
    &architecture_xlm_roberta,
    &architecture_bert,
    &architecture_vit,
    &architecture_resnet,
    &architecture_mobilenet_v2,
    &architecture_yamnet,
    &architecture_whisper,
    &architecture_qwen2,
    &architecture_llama,
    NULL,
};
