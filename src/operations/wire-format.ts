import type { GenAiMessage } from './messages.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** The size of a request's input, for token estimates. */
export interface InputSize {
  /** Bytes of text. */
  readonly text: number
  /** Tokens of everything that is not text: images, sound, files, chat templates. */
  readonly extra: number
  /** Tokens that the request contains as token ids. */
  readonly tokens: number
}

/** The output that a request asks for. */
export interface OutputLimit {
  /** The largest token limit that the request names for one choice; 0: none. */
  readonly maxTokens: number
  /** Whether some provider reads the request as having no limit. */
  readonly isOpen: boolean
  /** The number of choices to generate, over all prompts. */
  readonly choices: number
}

/** Parameters of a request that telemetry reports. */
export interface RequestParameters {
  readonly temperature?: number | undefined
  readonly topP?: number | undefined
  readonly topK?: number | undefined
  readonly maxTokens?: number | undefined
  readonly frequencyPenalty?: number | undefined
  readonly presencePenalty?: number | undefined
  readonly seed?: number | undefined
  readonly dimensions?: number | undefined
  readonly stream?: boolean | undefined
  readonly choices?: number | undefined
  readonly stopSequences?: readonly string[] | undefined
  readonly encodingFormat?: string | undefined
  readonly outputType?: 'json' | 'text' | undefined
  readonly reasoningLevel?: string | undefined
}

/** Properties of a reply that telemetry reports. */
export interface ReplyFacts {
  readonly id?: string | undefined
  /** The model that responded, as the provider names it. */
  readonly model?: string | undefined
  /** In the order of the choices. */
  readonly finishReasons?: readonly string[] | undefined
}

/**
 * How one dialect spells one operation: the only code that knows the fields of its requests, replies and stream frames. All functions are pure
 * and accept any JSON value in any field: a request was validated only as far as Corral reads it, and a reply not at all.
 */
export interface WireFormat {
  /** E.g. `openai.chat`. */
  readonly name: string
  /** Of an upstream that speaks this format, relative to its root. */
  readonly upstreamPath: string
  /**
   * The top-level fields that policies, quotas, prices and the relay read. A request must spell each exactly and contain it once, so that the upstream
   * cannot read another value.
   */
  readonly governedFields: readonly string[]
  /** `bytes`: the length of the request body. */
  inputSize(body: unknown, bytes: number): InputSize
  outputLimit(body: JsonObject): OutputLimit
  /** The field by which callers limit the output, for error messages. Absent: there is none. */
  readonly outputLimitField?: string | undefined
  requestParameters(body: JsonObject): RequestParameters
  replyFacts(bytes: Uint8Array): ReplyFacts | undefined
  /** Bytes of generated text in a complete reply. */
  replyText(bytes: Uint8Array): number
  /** Bytes of generated text in one stream frame; undefined where the frame contains no choices. */
  frameText(frame: string): number | undefined
  /** The input as messages. `maxLength`: UTF-16 units of one text. */
  requestMessages(body: unknown, maxLength: number): GenAiMessage[]
  /** The output of a complete reply as messages. */
  replyMessages(bytes: Uint8Array, maxLength: number): GenAiMessage[]
  /** The output of a stream as messages. `frames`: its frames, of which the last can be incomplete. */
  frameMessages(frames: string, maxLength: number): GenAiMessage[]
}
