import type { SpanRecord } from '../traces/span.ts'
import { createRedactor } from '../../text/redactor.ts'

/** Extra length before masking: text at the cut may be half of something that is masked. */
export const cutMargin = 1_024

/**
 * Turns what was said into the attributes of the GenAI conventions, masked by the operator's patterns and cut to `maxLength` UTF-16 units a text. Off the
 * serving thread: masking long texts takes milliseconds.
 */
export function createContentAttributes(patterns: readonly string[], maxLength: number): (span: SpanRecord) => SpanRecord {
  const redact = createRedactor(patterns)
  const maskText = (key: string, value: unknown): unknown => {
    if (typeof value !== 'string' || key === 'type') return value
    const masked = redact(value)
    return masked.length > maxLength ? `${masked.slice(0, maxLength)}…` : masked
  }
  return (span) => {
    const { content, ...rest } = span
    if (!content) return span
    const attributes: Record<string, SpanRecord['attributes'][string]> = { ...span.attributes }
    if (content.input.length > 0) attributes['gen_ai.input.messages'] = JSON.stringify(content.input, maskText)
    if (content.output.length > 0) attributes['gen_ai.output.messages'] = JSON.stringify(content.output, maskText)
    return { ...rest, attributes }
  }
}
