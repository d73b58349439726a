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
  if (typeof value === 'string') return isSecretKey(key) && value !== '' ? mask : withoutQueries(redactText(hide(value, secrets)))
  if (Array.isArray(value)) return value.map((item) => redactWith(item, key, secrets))
  if (value instanceof RegExp || value instanceof URL)
    return withoutQueries(redactText(hide(value instanceof RegExp ? value.source : value.href, secrets)))
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

const harmlessParameters =
  /^(api[-_]?version|version|v|region|location|deployment|model|format|sslmode|ssl_mode|connect_timeout|timeout|application_name|limit|lang)$/i

/** Whose name does not say that it is harmless may be a key: Azure Functions calls its own `code`. For settings, which hold few queries. */
function withoutQueries(text: string): string {
  return text.includes('://') ? text.replaceAll(/\S+/g, withoutQuery) : text
}

function withoutQuery(word: string): string {
  const scheme = word.indexOf('://')
  const start = scheme < 0 ? -1 : word.indexOf('?', scheme) + 1
  if (start <= 0) return word
  const hash = word.indexOf('#', start)
  const end = hash < 0 ? word.length : hash
  return word.slice(0, start) + word.slice(start, end).split('&').map(maskedParameter).join('&') + word.slice(end)
}

function maskedParameter(parameter: string): string {
  const at = parameter.indexOf('=')
  if (at < 0) return parameter === '' ? '' : mask
  return harmlessParameters.test(parameter.slice(0, at)) || at === parameter.length - 1 ? parameter : parameter.slice(0, at + 1) + mask
}

/** A text in which the user and password of every URL, and query values that are secrets by their name, are masked. */
export function redactText(text: string): string {
  return text.replaceAll(userInfo, `$1${mask}@`).replaceAll(queryValue, `$1${mask}`)
}
