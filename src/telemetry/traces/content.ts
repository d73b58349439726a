import type { GenAiMessage } from '../../operations/messages.ts'
import type { InferenceFinished } from '../event-types.ts'

/** The content of one inference. Not redacted yet: that happens off the serving thread. */
export interface SpanContent {
  readonly input: readonly GenAiMessage[]
  readonly output: readonly GenAiMessage[]
}

/** `maxLength`: UTF-16 units of one text. */
export function contentOf(
  event: Pick<InferenceFinished, 'format' | 'requestBody' | 'reply' | 'streamedContent'>,
  maxLength: number,
): SpanContent {
  return { input: event.format.requestMessages(event.requestBody, maxLength), output: outputOf(event, maxLength) }
}

function outputOf({ format, reply, streamedContent }: Parameters<typeof contentOf>[0], maxLength: number): readonly GenAiMessage[] {
  if (streamedContent) return format.frameMessages(streamedContent.frames(), maxLength)
  return reply instanceof Uint8Array ? format.replyMessages(reply, maxLength) : []
}
