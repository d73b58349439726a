import type { JsonObject } from '../operations/wire-format.ts'
import type { InferenceFacts } from './governance.ts'
import type { MaxTokens } from './prices-rates.ts'

export interface EstimateOptions {
  /** Output tokens reserved for a request without a maximum. */
  readonly defaultMaxTokens: number
  /** Bytes of text for one input token; 1: no tokenizer exceeds it. */
  readonly inputBytesPerToken: number
}

/** The input of an estimate: the parsed `body`, and its length in `bytes`. */
export type EstimateInput = Pick<InferenceFacts, 'operation' | 'format' | 'body' | 'bytes'>

/** Bytes of ordinary text for one token: an estimate of use that was not reported. */
const defaultBytesPerToken = 4

/** More than any response has: a request may contain any number. */
const maxCountedTokens = 1e12

/**
 * The most tokens that a request may use. Input: one for each `inputBytesPerToken` bytes of what its format counts as text, and what it counts for the
 * rest. Output: the largest maximum that it states, else `defaultMaxTokens`, for each choice; 0 for an operation that generates no text.
 */
export function maxTokensOf(request: EstimateInput, options: EstimateOptions): MaxTokens {
  const { text, extra, tokens } = request.format.inputSize(request.body, request.bytes)
  return { input: Math.ceil(text / options.inputBytesPerToken) + extra + tokens, output: maxOutput(request, options.defaultMaxTokens) }
}

function maxOutput({ operation, format, body }: EstimateInput, defaultMaxTokens: number): number {
  if (!operation.producesText) return 0
  const { maxTokens, isOpen, choices } = format.outputLimit(body as JsonObject)
  return Math.min((isOpen ? Math.max(maxTokens, defaultMaxTokens) : maxTokens) * choices, maxCountedTokens)
}

/** The likely input tokens of a request whose provider did not report them: one for four bytes. */
export function likelyInput({ format, body, bytes }: Pick<EstimateInput, 'format' | 'body' | 'bytes'>): number {
  const { text, extra, tokens } = format.inputSize(body, bytes)
  return Math.ceil(text / defaultBytesPerToken) + Math.ceil(extra / 2) + tokens
}

/** The likely output tokens of a stream that reports none: one for each frame with content, or for four bytes of text, whichever is more. */
export function likelyOutput(frames: number, textBytes: number): number {
  return Math.max(1, frames, Math.ceil(textBytes / defaultBytesPerToken))
}

/** Whether the request leaves its output open to some provider. */
export function omitsMaxTokens({ operation, format, body }: EstimateInput): boolean {
  return operation.producesText && format.outputLimit(body as JsonObject).isOpen
}
