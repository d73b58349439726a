import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { Secret } from '../../secret.ts'

/** How every key of Corral's begins, so that people, logs' filters and secret scanners know one. */
export const tokenPrefix = 'crl_'
export const idPrefix = 'key_'

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const idLength = 32
/** 62^32: 190 bits. */
const secretLength = 32
const checksumLength = 6

/**
 * `crl_` + the id's 32 hex digits + `_` + 32 digits of secret + 6 digits of checksum, all of base 62: CRC-32 of the preceding text.
 * The checksum detects a typo, a truncated key or a scanner's false positive without a look-up; it is not a protection.
 */
const tokenPattern = /^crl_[0-9a-f]{32}_[0-9A-Za-z]{38}$/

/** A new token for the key `id` (`key_` and 32 hex digits). */
export function createToken(id: string): Secret {
  const head = `${tokenPrefix}${id.slice(idPrefix.length)}_${randomDigits(secretLength)}`
  return new Secret(head + checksumOf(head))
}

/** The key's id in a token; undefined: not a token of Corral's, or a mistyped or truncated one. */
export function idOfToken(token: string): string | undefined {
  return tokenPattern.test(token) && hasChecksum(token)
    ? idPrefix + token.slice(tokenPrefix.length, tokenPrefix.length + idLength)
    : undefined
}

/** What may be shown of a token to identify it: its last four characters, which belong to the checksum. */
export function hintOf(token: Secret): string {
  return `${tokenPrefix}…${token.reveal().slice(-4)}`
}

function checksumOf(head: string): string {
  let rest = crc32(head)
  let text = ''
  for (let place = 0; place < checksumLength; place++) {
    text = digits[rest % digits.length] + text
    rest = Math.floor(rest / digits.length)
  }
  return text
}

/** Digit by digit, from the last: nothing is made for a request that is in order. */
function hasChecksum(token: string): boolean {
  const start = token.length - checksumLength
  let rest = crc32(token.slice(0, start))
  for (let at = token.length - 1; at >= start; at--) {
    if (token[at] !== digits[rest % digits.length]) return false
    rest = Math.floor(rest / digits.length)
  }
  return true
}

/** Each digit as likely as any other: bytes from 248 on would favour the first eight, and are thrown again. */
function randomDigits(length: number): string {
  const fair = 256 - (256 % digits.length)
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) if (byte < fair && text.length < length) text += digits[byte % digits.length]
  }
  return text
}
