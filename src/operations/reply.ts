import type { RerankResponse } from '../schemas/rerank.ts'

/** Tokens, as the provider reported them. */
export interface Usage {
  input: number
  output: number
  /** Estimated by Corral, because the provider reported none. */
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
  /** The cost in US dollars that the provider reported. */
  dollars?: number
}

/** A complete reply, in the format of the request. */
export interface JsonReply {
  readonly kind: 'json'
  readonly bytes: Uint8Array
  readonly usage: Usage | undefined
  /** The provider's own bytes, before any edit. */
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
  /** What was read so far; complete once `frames` is done. */
  readonly facts: StreamFacts
}

export interface StreamFacts {
  usage: Usage | undefined
  /** `performance.now()` at the first frame with content. */
  firstTokenAt: number | undefined
  frames: number
  /** True once the end of a complete stream was returned. */
  complete?: boolean
  /** The upstream's id of the reply, and its name of the model. */
  id?: string | undefined
  model?: string | undefined
  finishReasons?: string[] | undefined
}

export type Reply = JsonReply | StreamReply

/** Documents by descending relevance: their indices in the request, and their scores. */
export interface Ranking {
  readonly data: RerankResponse['data']
  /** Absent: the provider reports none. */
  readonly usage?: Usage | undefined
}
