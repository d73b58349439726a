import type { WireFormat } from '../wire-format.ts'

/** `format` of an operation whose reply has no generated text: the reply is not parsed. */
export function withoutText(format: WireFormat): WireFormat {
  return {
    ...format,
    replyFacts: () => undefined,
    replyText: () => 0,
    frameText: () => undefined,
    replyMessages: () => [],
    frameMessages: () => [],
  }
}
