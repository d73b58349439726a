import type { RerankResponse } from '../schemas/rerank.ts'

/** Tokens, as the provider reported them. */
export interface Usage {
  input: number
  output: number
  /** Estimated here, because the provider reported none. */
  estimated?: boolean
  /** Part of `input` that was read from a cache. */
  cached?: number
  /** Part of `input` that was written to one. */
  cacheWrite?: number
  /** Part of `input` that was spoken. */
  inputAudio?: number
  /** Part of `output` that was reasoning. */
  reasoning?: number
  /** Part of `output` that was spoken. */
  outputAudio?: number
  /** What the provider says that it charges, in US dollars. */
  dollars?: number
}

/** A complete reply, in the format of the request. */
export interface JsonReply {
  readonly kind: 'json'
  readonly bytes: Uint8Array
  readonly usage: Usage | undefined
  /** What the provider itself sent, before any edit. */
  readonly original?: Uint8Array | undefined
}

/** A reply that streams, in the format of the request. */
export interface StreamReply {
  readonly kind: 'stream'
  /**
   * Server-sent events as bytes, each item one or more whole frames, the last one of the stream included.
   * `next()` throws an ApiError when the upstream fails, is interrupted or sends an invalid response; `return()` stops the upstream at once.
   */
  readonly frames: AsyncIterator<Uint8Array, void, undefined> & {
    /** Milliseconds that a caller may leave frames unread. Absent: no limit. */
    readonly idleTimeout?: number | undefined
  }
  /** What the scan has learnt so far; whole once `frames` is done. */
  readonly facts: StreamFacts
}

export interface StreamFacts {
  usage: Usage | undefined
  /** `performance.now()` at the first frame with content. */
  firstTokenAt: number | undefined
  frames: number
  /** True once the end that proves the stream whole has been handed out. */
  complete?: boolean
  /** What the upstream called the stream, and what answered. */
  id?: string | undefined
  model?: string | undefined
  finishReasons?: string[] | undefined
}

export type Reply = JsonReply | StreamReply

/** Documents by falling relevance: their places in the request, and their scores. */
export interface Ranking {
  readonly data: RerankResponse['data']
  /** Absent: the provider reports none. */
  readonly usage?: Usage | undefined
}
