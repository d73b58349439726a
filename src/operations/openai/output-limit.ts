import type { JsonObject, OutputLimit } from '../wire-format.ts'
import { choiceCountFields, maxTokenFields } from './fields.ts'

/** More than any reply has: callers can write any number. */
const maxCounted = 1e12

/** The largest of the fields that OpenAI-compatible servers read. A field that is not a positive number may mean that there is no limit. */
export function outputLimit(body: JsonObject): OutputLimit {
  let choices = 1
  for (const field of choiceCountFields) choices = Math.max(choices, positive(body[field]) ?? 1)
  let maxTokens = 0
  let isOpen = false
  for (const field of maxTokenFields) {
    const value = body[field]
    if (value === undefined || value === null) continue
    const named = positive(value)
    if (named === undefined) isOpen = true
    else if (named > maxTokens) maxTokens = named
  }
  return { maxTokens, isOpen: isOpen || maxTokens === 0, choices: choices * promptCount(body) }
}

/** Also of a string, which some servers parse as a number. */
function positive(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && number > 0 ? Math.min(Math.ceil(number), maxCounted) : undefined
}

/** The number of prompts of a text completion. */
export function promptCount({ prompt }: { readonly prompt?: unknown }): number {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1
}
