import type { OperationName } from '../../operations/index.ts'
import type { OpenAICompatibleOptions } from './openai-compatible-options.ts'

type MessageFields = Readonly<Record<string, unknown>>

const none: readonly string[] = []
const streamFields: readonly string[] = ['stream_options']
/** `parallel_tool_calls` is refused without `tools`. */
const toolFields: readonly string[] = ['tools', 'tool_choice', 'parallel_tool_calls']

/** Top-level fields of the caller's that are left out for an upstream that is known not to support them. */
export function omittedFields(
  body: object,
  operation: OperationName,
  { streamUsage, excludeToolsWhenNone }: Pick<OpenAICompatibleOptions, 'streamUsage' | 'excludeToolsWhenNone'>,
): readonly string[] {
  const stream = streamUsage === false ? streamFields : none
  const { tool_choice: choice, messages } = body as MessageFields
  if (excludeToolsWhenNone !== true || operation !== 'chat' || choice !== 'none' || holdsToolCalls(messages)) return stream
  return [...stream, ...toolFields]
}

/** Whether a conversation has called tools: providers that check it (Anthropic, Bedrock) then require `tools`. */
function holdsToolCalls(messages: unknown): boolean {
  if (!Array.isArray(messages)) return false
  return (messages as MessageFields[]).some(({ role, tool_calls: calls, function_call: call, content }) => {
    if (role === 'tool' || role === 'function' || (call ?? undefined) !== undefined) return true
    if (Array.isArray(calls) && calls.length > 0) return true
    return (
      Array.isArray(content) &&
      (content as ({ type?: unknown } | null)[]).some((part) => part?.type === 'tool_use' || part?.type === 'tool_result')
    )
  })
}
