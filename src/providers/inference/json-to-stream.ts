type CompletionFields = Readonly<Record<string, unknown>>

/** A whole completion as `toJsonReply` hands it out: with all that OpenAI's schema requires. */
export interface JsonCompletion extends CompletionFields {
  readonly choices: readonly CompletionFields[]
}

/**
 * The chunks of a whole chat completion, or with `isText` of a text completion: one with all content, one with the finish reasons, one with usage where it is
 * wanted.
 */
export function toChunks(whole: JsonCompletion, { isText, wantsUsage }: { isText: boolean; wantsUsage: boolean }): object[] {
  const { choices, usage, ...rest } = whole
  const head = isText ? rest : { ...rest, object: 'chat.completion.chunk' }
  const content = choices.map(({ message, ...choice }) => ({
    ...choice,
    ...(isText ? {} : { delta: toDelta(message as CompletionFields) }),
    finish_reason: null,
  }))
  const finished = choices.map(({ index, finish_reason }) => ({
    index,
    ...(isText ? { text: '' } : { delta: {} }),
    logprobs: null,
    finish_reason,
  }))
  return [
    { ...head, choices: content },
    { ...head, choices: finished },
    ...(wantsUsage && isFields(usage) ? [{ ...head, choices: [], usage }] : []),
  ]
}

function toDelta(message: CompletionFields): CompletionFields {
  const calls = message['tool_calls']
  if (!Array.isArray(calls)) return message
  return { ...message, tool_calls: (calls as CompletionFields[]).map((call, index) => ({ ...call, index })) }
}

function isFields(value: unknown): value is CompletionFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
