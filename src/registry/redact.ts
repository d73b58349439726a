import { Secret } from '../secret.ts'

const shown = '***'

/** Keys whose strings are secrets by their name, for configurations that do not declare them as such. Numbers (`max_tokens`) are never. */
const secretKey = /api_?key|token|passw(or)?d|passphrase|secret|authorization|credential|cookie|private_?key|client_?key|signature/i

/** A configuration as it may be shown: secrets, header values and the passwords inside URLs become `***`. */
export function redact(value: unknown, key = ''): unknown {
  if (value instanceof Secret) return shown
  if (typeof value === 'string') return secretKey.test(key) && value !== '' ? shown : redactText(value)
  if (Array.isArray(value)) return value.map((item) => redact(item, key))
  if (value instanceof RegExp || value instanceof URL) return redactText(String(value))
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value
  const headers = /headers$/i.test(key)
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return Object.fromEntries(
    entries.map(([name, item]) => [String(name), headers && typeof item === 'string' ? shown : redact(item, String(name))]),
  )
}

const userInfo = /([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]*(?:@[^\s/?#@]*)*@/gi
const queryValue = /([?&][^=&#\s]*(?:key|token|password|secret|signature|sig|auth|credential)[^=&#\s]*=)[^&#\s"']+/gi

/** A text in which the user and password of every URL, and query values that are secrets by their name, are masked. */
export function redactText(text: string): string {
  return text.replaceAll(userInfo, `$1${shown}@`).replaceAll(queryValue, `$1${shown}`)
}
