/** A part of a message in the form of OpenTelemetry's GenAI conventions. */
export interface GenAiMessagePart {
  readonly type: string
  readonly content?: string
  readonly id?: string
  readonly name?: string
  readonly arguments?: string
  readonly response?: string
}

export interface GenAiMessage {
  readonly role: string
  readonly parts: readonly GenAiMessagePart[]
  readonly finish_reason?: string
}
