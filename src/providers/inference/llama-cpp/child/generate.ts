import {
  LlamaChat,
  type ChatHistoryItem,
  type ChatModelFunctions,
  type ChatWrapper,
  type LlamaContextSequence,
  type LlamaGrammar,
  type LlamaModel,
  type Token,
} from 'node-llama-cpp'
import { ApiError, invalidRequest } from '../../../child-contract.ts'
import type { Sampling } from './sampling.ts'

/** What a model says, piece by piece. A call's name comes first, then its arguments. */
export type Piece =
  | { kind: 'text'; text: string }
  | { kind: 'reasoning'; text: string }
  | { kind: 'call'; index: number; name: string }
  | { kind: 'arguments'; index: number; text: string }

export type FinishReason = 'stop' | 'length' | 'tool_calls'

export interface GenerationResult {
  finish: FinishReason
  outputTokens: number
}

export interface ChatJob {
  history: ChatHistoryItem[]
  /** The history as the model reads it: `promptOf`. */
  prompt: readonly Token[]
  wrapper: ChatWrapper
  sampling: Sampling
  /** Absent: as many as the slot holds. */
  maxTokens: number | undefined
  stop: readonly string[]
  /** Tokens that may be spent on thinking. */
  maxThinkingTokens: number
  /** Not together with `functions`. */
  grammar?: LlamaGrammar | undefined
  functions?: ChatModelFunctions | undefined
  parallelCalls?: boolean | undefined
  signal: AbortSignal
}

/** How many prompt tokens are read between two looks at whether the caller is still there. */
const promptStep = 256

/** What bounds a prompt: a slot, or the model whose slots are all alike. */
export interface ContextSize {
  readonly model: LlamaModel
  /** Tokens. */
  readonly contextSize: number
}

/** The prompt as the model will read it. Throws ApiError 400 where it does not fit into a slot. */
export function promptOf(job: Pick<ChatJob, 'history' | 'wrapper' | 'functions'>, context: ContextSize): Token[] {
  const chatHistory: ChatHistoryItem[] =
    job.history.at(-1)?.type === 'model' ? job.history : [...job.history, { type: 'model', response: [] }]
  const { contextText } = job.wrapper.generateContextState({ chatHistory, ...(job.functions && { availableFunctions: job.functions }) })
  const tokens = contextText.tokenize(context.model.tokenizer)
  checkFits(tokens.length, context)
  return tokens
}

/** Throws ApiError 400 unless the prompt and one more token fit. */
export function checkFits(promptTokens: number, context: ContextSize, param = 'messages'): void {
  if (promptTokens + reserve < context.contextSize) return
  throw invalidRequest(
    `This model's context holds ${context.contextSize} tokens, but the request has ${promptTokens}. Shorten it, or raise context_size in the provider's configuration.`,
    { code: 'context_length_exceeded', param },
  )
}

// The library begins to forget the oldest turns when the last cells are reached; generation ends before that, with `length`.
const reserve = 4

/** The maximum number of output tokens. */
export function maxOutputTokens(promptTokens: number, maxTokens: number | undefined, { contextSize }: ContextSize): number {
  const left = contextSize - promptTokens - reserve
  return Math.min(maxTokens ?? left, left)
}

/** Reads the prompt in steps, so that a caller that leaves meanwhile frees the slot; what the slot still knows from before is not read again. */
export async function readPrompt(prompt: readonly Token[], sequence: LlamaContextSequence, signal: AbortSignal): Promise<void> {
  const { firstDifferentIndex } = sequence.compareContextTokens([...prompt])
  if (prompt.length - firstDifferentIndex <= promptStep) return
  await sequence.adaptStateToTokens([...prompt], false)
  // The last step is left to the generation, which needs the logits of the last token.
  for (let at = sequence.nextTokenIndex; at < prompt.length - promptStep; at += promptStep) {
    signal.throwIfAborted()
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(at, at + promptStep))
  }
  signal.throwIfAborted()
}

/** Generates one reply on a slot of its own. Rejects with the signal's reason once it aborts. */
export async function generateChat(job: ChatJob, sequence: LlamaContextSequence, emit: (piece: Piece) => void): Promise<GenerationResult> {
  await readPrompt(job.prompt, sequence, job.signal)
  const chat = new LlamaChat({ contextSequence: sequence, chatWrapper: job.wrapper })
  const before = sequence.tokenMeter.usedOutputTokens
  const calls = new CallPieces(emit)
  const { sampling } = job
  try {
    const response = await chat.generateResponse(job.history, {
      ...sampling,
      maxTokens: maxOutputTokens(job.prompt.length, job.maxTokens, sequence),
      signal: job.signal,
      customStopTriggers: [...job.stop],
      budgets: { thoughtTokens: job.maxThinkingTokens },
      contextShift: { size: 1, strategy: refuseShift },
      onResponseChunk: ({ type, text }) => {
        if (text !== '') emit({ kind: type === 'segment' ? 'reasoning' : 'text', text })
      },
      ...(job.functions
        ? {
            functions: job.functions,
            ...(job.parallelCalls === false && { maxParallelFunctionCalls: 1 }),
            onFunctionCallParamsChunk: (chunk) => calls.add(chunk),
          }
        : { ...(job.grammar && { grammar: job.grammar }) }),
    })
    for (const [index, call] of (response.functionCalls ?? []).entries()) calls.close(index, call)
    const { stopReason } = response.metadata
    const finish = calls.count > 0 ? 'tool_calls' : stopReason === 'maxTokens' ? 'length' : 'stop'
    return { finish, outputTokens: sequence.tokenMeter.usedOutputTokens - before }
  } catch (error) {
    if (job.signal.aborted) throw job.signal.reason
    throw error
  } finally {
    chat.dispose()
  }
}

function refuseShift(): never {
  throw new ApiError('server_error', 'The context of the embedded model is full.')
}

/** Puts the library's pieces of calls into ours: name first, arguments always JSON. */
class CallPieces {
  readonly #emit: (piece: Piece) => void
  readonly #written: string[] = []

  constructor(emit: (piece: Piece) => void) {
    this.#emit = emit
  }

  get count(): number {
    return this.#written.length
  }

  add({ callIndex, functionName, paramsChunk }: { callIndex: number; functionName: string; paramsChunk: string }): void {
    this.#open(callIndex, functionName)
    if (paramsChunk === '') return
    this.#written[callIndex] += paramsChunk
    this.#emit({ kind: 'arguments', index: callIndex, text: paramsChunk })
  }

  close(index: number, { functionName, params }: { functionName: string; params?: unknown }): void {
    this.#open(index, functionName)
    if (this.#written[index] === '') this.#emit({ kind: 'arguments', index, text: JSON.stringify(params ?? {}) })
  }

  #open(index: number, name: string): void {
    while (this.#written.length <= index) {
      this.#emit({ kind: 'call', index: this.#written.length, name })
      this.#written.push('')
    }
  }
}
