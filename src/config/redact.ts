import { Secret } from '../secret.ts'

const mask = '***'

/** Keys whose texts are secrets by their name, for settings that do not declare them as such. Numbers (`max_tokens`) never are. */
export const redactedKeys =
  /api_?key|token|passw(or)?d|passphrase|secret|authorization|credential|cookie|private_?key|access_?key|signature|pepper/i

/** These match by accident: settings about tokens, not tokens. */
const harmlessKeys = /tokens_|_tokens$|^token_?(type|limit|url|endpoint)$|_file$|keyfile$/i

/** A setting as it may be shown: secrets, the values of headers and the passwords inside URLs become `***`. */
export function redact(value: unknown, key = ''): unknown {
  return redactWith(value, key, [...secretsIn(value)])
}

function redactWith(value: unknown, key: string, secrets: readonly string[]): unknown {
  if (value instanceof Secret) return mask
  if (typeof value === 'string') return isSecretKey(key) && value !== '' ? mask : redactText(hide(value, secrets))
  if (Array.isArray(value)) return value.map((item) => redactWith(item, key, secrets))
  if (value instanceof RegExp || value instanceof URL) return redactText(hide(value instanceof RegExp ? value.source : value.href, secrets))
  if (typeof value === 'function' || typeof value === 'symbol') return undefined
  if (typeof value !== 'object' || value === null) return value
  const areHeaders = /headers$/i.test(key) && !/forward_headers$/i.test(key)
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return Object.fromEntries(
    entries.map(([name, item]) => [String(name), areHeaders && item !== null ? mask : redactWith(item, String(name), secrets)]),
  )
}

function isSecretKey(key: string): boolean {
  return redactedKeys.test(key) && !harmlessKeys.test(key)
}

/** A key may stand in a second place, such as an extra header or a URL's path. */
function secretsIn(value: unknown): Set<string> {
  if (value instanceof Secret) return new Set([value.reveal()].filter((text) => text.length >= 8))
  if (typeof value !== 'object' || value === null) return new Set()
  const inner = value instanceof Map ? [...value.values()] : Object.values(value)
  return new Set(inner.flatMap((item) => [...secretsIn(item)]))
}

function hide(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, mask), text)
}

const userInfo = /([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]*(?:@[^\s/?#@]*)*@/gi
const queryValue = /([?&][^=&#\s]*(?:key|token|password|secret|signature|sig|auth|credential)[^=&#\s]*=)[^&#\s"']+/gi

/** A text in which the user and password of every URL, and query values that are secrets by their name, are masked. */
export function redactText(text: string): string {
  return text.replaceAll(userInfo, `$1${mask}@`).replaceAll(queryValue, `$1${mask}`)
}
