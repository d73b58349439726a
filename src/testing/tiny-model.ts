/**
 * A real GGUF model of about one megabyte, made by code: llama.cpp loads, tokenises, samples and embeds with it as with any other.
 * Its weights spell a table "after this token comes that one" (embeddings are one-hot, attention and feed-forward add nothing), so that
 * what it says is known beforehand and no download is needed.
 */
export interface TinyModelOptions {
  /** Token → the tokens that may follow, equally likely. Default: says `Hi, you.` and ends. `</s>` ends the response. */
  follow?: Readonly<Record<string, readonly string[]>>
  /** Further tokens of more than one character. */
  words?: readonly string[]
  /** Jinja. Default ChatML; false: none, as base models have it. */
  chatTemplate?: string | false
  /** In tokens. Default 32,768. */
  contextLength?: number
}

/** Says `Hi, you.`, then ends. */
const greeting: Readonly<Record<string, readonly string[]>> = chain('\n', 'H', 'i', ',', ' ', 'y', 'o', 'u', '.', '</s>')

/** Never ends by itself: `abcdefgh abcdefgh …`. */
export const endless: Readonly<Record<string, readonly string[]>> = chain('\n', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', ' ', 'a')

/** Each token is followed by the next one. */
export function chain(...tokens: string[]): Record<string, string[]> {
  return Object.fromEntries(tokens.slice(0, -1).map((token, at) => [token, [tokens[at + 1]!]]))
}

const chatml =
  "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}" +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'

// Where a grammar forbids what the table wants, the strongest of these that it allows comes next: structures close quickly.
const fallbacks = ['"', '}', ']', ',', ':', '{', '[', '1', ')', 'x', 't', 'f', 'n']

const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, byte: 6 } as const

interface TinyToken {
  text: string
  type: keyof typeof tokenTypes
}

/** The bytes of the GGUF file. */
export function tinyModel(options: TinyModelOptions = {}): Uint8Array {
  const tokens = vocabulary(options.words ?? [])
  const width = Math.ceil(tokens.length / 64) * 64
  const gguf = new GgufWriter()
  gguf.text('general.architecture', 'llama')
  gguf.text('general.name', 'Tiny')
  gguf.uint('llama.context_length', options.contextLength ?? 32_768)
  gguf.uint('llama.embedding_length', width)
  gguf.uint('llama.block_count', 1)
  gguf.uint('llama.feed_forward_length', 32)
  gguf.uint('llama.attention.head_count', width / 64)
  gguf.uint('llama.attention.head_count_kv', 1)
  gguf.float('llama.attention.layer_norm_rms_epsilon', 1e-5)
  gguf.uint('llama.rope.dimension_count', 64)
  gguf.uint('llama.vocab_size', tokens.length)
  gguf.text('tokenizer.ggml.model', 'llama')
  gguf.text('tokenizer.ggml.pre', 'default')
  gguf.texts(
    'tokenizer.ggml.tokens',
    tokens.map(({ text }) => text),
  )
  gguf.floats(
    'tokenizer.ggml.scores',
    tokens.map(() => 0),
  )
  gguf.ints(
    'tokenizer.ggml.token_type',
    tokens.map(({ type }) => tokenTypes[type]),
  )
  gguf.uint('tokenizer.ggml.unknown_token_id', 0)
  gguf.uint('tokenizer.ggml.bos_token_id', 1)
  gguf.uint('tokenizer.ggml.eos_token_id', 2)
  gguf.flag('tokenizer.ggml.add_bos_token', true)
  gguf.flag('tokenizer.ggml.add_space_prefix', false)
  const template = options.chatTemplate ?? chatml
  if (template !== false) gguf.text('tokenizer.chat_template', template)
  addTensors(gguf, { width, tokens, follow: options.follow ?? greeting })
  return gguf.bytes()
}

function vocabulary(words: readonly string[]): TinyToken[] {
  const special: TinyToken[] = [
    { text: '<unk>', type: 'unknown' },
    { text: '<s>', type: 'control' },
    { text: '</s>', type: 'control' },
    { text: '<|im_start|>', type: 'control' },
    { text: '<|im_end|>', type: 'control' },
  ]
  const bytes = Array.from({ length: 256 }, (_, byte): TinyToken => ({ text: `<0x${hex(byte)}>`, type: 'byte' }))
  const characters = Array.from({ length: 94 }, (_, at): TinyToken => ({ text: String.fromCharCode(33 + at), type: 'normal' }))
  return [
    ...special,
    ...bytes,
    { text: '\u2581', type: 'normal' },
    ...characters,
    ...words.map((text): TinyToken => ({ text, type: 'userDefined' })),
  ]
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}

function addTensors(
  gguf: GgufWriter,
  { width, tokens, follow }: { width: number; tokens: readonly TinyToken[]; follow: NonNullable<TinyModelOptions['follow']> },
): void {
  const ids = new Map(tokens.map(({ text }, id) => [text, id]))
  const idOf = (text: string): number => {
    const id = ids.get(text === ' ' ? '\u2581' : text === '\n' ? '<0x0A>' : text)
    if (id === undefined) throw new Error(`The tiny model has no token ${JSON.stringify(text)}.`)
    return id
  }
  const embedding = new Float32Array(width * tokens.length)
  for (let id = 0; id < tokens.length; id++) embedding[id * width + id] = 1
  // Row = the next token, column = the present one. Normalisation multiplies by √width ≈ 20: a weight of 1 leaves the others no chance.
  const output = new Float32Array(width * tokens.length)
  for (const [rank, text] of fallbacks.entries()) {
    const row = idOf(text) * width
    for (let id = 0; id < tokens.length; id++) output[row + id] = 0.5 - rank * 0.03
  }
  for (const [from, targets] of Object.entries(follow)) for (const to of targets) output[idOf(to) * width + idOf(from)] = 2
  gguf.tensor('token_embd.weight', [width, tokens.length], embedding)
  gguf.tensor('output_norm.weight', [width], new Float32Array(width).fill(1))
  gguf.tensor('output.weight', [width, tokens.length], output)
  gguf.tensor('blk.0.attn_norm.weight', [width], new Float32Array(width).fill(1))
  gguf.tensor('blk.0.attn_q.weight', [width, width], new Float32Array(width * width))
  gguf.tensor('blk.0.attn_k.weight', [width, 64], new Float32Array(width * 64))
  gguf.tensor('blk.0.attn_v.weight', [width, 64], new Float32Array(width * 64))
  gguf.tensor('blk.0.attn_output.weight', [width, width], new Float32Array(width * width))
  gguf.tensor('blk.0.ffn_norm.weight', [width], new Float32Array(width).fill(1))
  gguf.tensor('blk.0.ffn_gate.weight', [width, 32], new Float32Array(width * 32))
  gguf.tensor('blk.0.ffn_up.weight', [width, 32], new Float32Array(width * 32))
  gguf.tensor('blk.0.ffn_down.weight', [32, width], new Float32Array(width * 32))
}

const valueTypes = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const
const alignment = 32
const encoder = new TextEncoder()

/** The GGUF container, version 3, little-endian (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md); vectors as F32, matrices as F16. */
class GgufWriter {
  readonly #metadata: Uint8Array[] = []
  readonly #tensors: { name: string; shape: readonly number[]; type: number; data: Uint8Array }[] = []
  #entries = 0

  text(key: string, value: string): void {
    this.#entry(key, valueTypes.string, string(value))
  }

  uint(key: string, value: number): void {
    this.#entry(key, valueTypes.uint32, bytesOf(new Uint32Array([value])))
  }

  float(key: string, value: number): void {
    this.#entry(key, valueTypes.float32, bytesOf(new Float32Array([value])))
  }

  flag(key: string, value: boolean): void {
    this.#entry(key, valueTypes.bool, new Uint8Array([value ? 1 : 0]))
  }

  texts(key: string, values: readonly string[]): void {
    this.#array(key, valueTypes.string, { count: values.length, data: concat(values.map(string)) })
  }

  floats(key: string, values: readonly number[]): void {
    this.#array(key, valueTypes.float32, { count: values.length, data: bytesOf(new Float32Array(values)) })
  }

  ints(key: string, values: readonly number[]): void {
    this.#array(key, valueTypes.int32, { count: values.length, data: bytesOf(new Int32Array(values)) })
  }

  tensor(name: string, shape: readonly number[], values: Float32Array): void {
    const matrix = shape.length > 1
    this.#tensors.push({
      name,
      shape,
      type: matrix ? 1 : 0,
      data: bytesOf(matrix ? new Uint16Array(values).map((_, at) => toHalf(values[at]!)) : values),
    })
  }

  bytes(): Uint8Array {
    const infos: Uint8Array[] = []
    let offset = 0
    for (const { name, shape, type, data } of this.#tensors) {
      infos.push(string(name), uint32(shape.length), ...shape.map(uint64), uint32(type), uint64(offset))
      offset += Math.ceil(data.length / alignment) * alignment
    }
    const head = concat([
      encoder.encode('GGUF'),
      uint32(3),
      uint64(this.#tensors.length),
      uint64(this.#entries),
      ...this.#metadata,
      ...infos,
    ])
    return concat([padded(head), ...this.#tensors.map(({ data }) => padded(data))])
  }

  #entry(key: string, type: number, value: Uint8Array): void {
    this.#entries++
    this.#metadata.push(string(key), uint32(type), value)
  }

  #array(key: string, type: number, { count, data }: { count: number; data: Uint8Array }): void {
    this.#entry(key, valueTypes.array, concat([uint32(type), uint64(count), data]))
  }
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

function uint32(value: number): Uint8Array {
  return bytesOf(new Uint32Array([value]))
}

function uint64(value: number): Uint8Array {
  return bytesOf(new BigUint64Array([BigInt(value)]))
}

function string(value: string): Uint8Array {
  const text = encoder.encode(value)
  return concat([uint64(text.length), text])
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil(bytes.length / alignment) * alignment)
  whole.set(bytes)
  return whole
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** IEEE half precision of a number between 0 and 2, rounded down: all values in this model. */
function toHalf(value: number): number {
  if (value === 0) return 0
  const exponent = Math.floor(Math.log2(value))
  return ((exponent + 15) << 10) | Math.floor((value / 2 ** exponent - 1) * 1024)
}
