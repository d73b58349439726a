import { TokenBias, type LlamaModel, type LLamaContextualRepeatPenalty, type Token } from 'node-llama-cpp'
import { invalidRequest } from '../../../child-contract.ts'

/** How tokens are chosen, in the library's words. */
export interface Sampling {
  temperature: number
  topP: number
  topK: number
  minP: number
  seed: number
  repeatPenalty: LLamaContextualRepeatPenalty | false
  tokenBias?: TokenBias | undefined
}

/** What a model's makers advise; a request overrides it. */
export interface SamplingAdvice {
  temperature?: number
  topP?: number
  topK?: number
  minP?: number
  /** Above 1: tokens of the last 64 are less likely to come again. */
  repeatPenalty?: number
}

interface SamplingRequest {
  temperature?: number | null | undefined
  top_p?: number | null | undefined
  seed?: unknown
  frequency_penalty?: number | null | undefined
  presence_penalty?: number | null | undefined
  logit_bias?: unknown
}

// llama.cpp's own defaults.
const defaults = { temperature: 0.8, topP: 0.95, topK: 40, minP: 0.05 }

/** `choice`: the choice's index; each has a seed of its own. Throws ApiError 400. */
export function toSampling(
  request: SamplingRequest,
  { model, advice, choice }: { model: LlamaModel; advice: SamplingAdvice; choice: number },
): Sampling {
  const seed = typeof request.seed === 'number' ? request.seed : Math.floor(Math.random() * 2 ** 32)
  const topP = request.top_p ?? advice.topP ?? defaults.topP
  return {
    temperature: request.temperature ?? advice.temperature ?? defaults.temperature,
    // A caller that sets top_p means it to be the only cut.
    topP,
    topK: request.top_p == null ? (advice.topK ?? defaults.topK) : 0,
    minP: request.top_p == null ? (advice.minP ?? defaults.minP) : 0,
    seed: (seed + choice) >>> 0,
    repeatPenalty: toPenalty(request, advice),
    tokenBias: toBias(request.logit_bias, model),
  }
}

function toPenalty(request: SamplingRequest, advice: SamplingAdvice): Sampling['repeatPenalty'] {
  const frequencyPenalty = request.frequency_penalty ?? 0
  const presencePenalty = request.presence_penalty ?? 0
  const penalty = advice.repeatPenalty ?? 1
  return frequencyPenalty === 0 && presencePenalty === 0 && penalty === 1
    ? false
    : { lastTokens: 64, penalty, frequencyPenalty, presencePenalty }
}

function toBias(biases: unknown, model: LlamaModel): TokenBias | undefined {
  if (biases === undefined || biases === null) return undefined
  const bias = new TokenBias(model.tokenizer)
  for (const [key, value] of Object.entries(biases)) {
    const token = Number(key)
    if (
      !Number.isInteger(token) ||
      token < 0 ||
      token >= model.fileInfo.metadata.tokenizer.ggml.tokens.length ||
      typeof value !== 'number'
    ) {
      throw invalidRequest(`'${key}' is not a token of this model.`, { param: 'logit_bias' })
    }
    bias.set(token as Token, value <= -100 ? 'never' : { logit: value })
  }
  return bias
}
