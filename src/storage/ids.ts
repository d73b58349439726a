/** Hex digits of the time, and of chance. */
const timeDigits = 12
const randomDigits = 20

/**
 * A new id, e.g. `key_0199a3c5d2e14b…`: the time it was made at, then 80 random bits. Ids made later sort later, and the place of a row in a list
 * is known from its id even when the row is gone.
 * @param createdAt Unix milliseconds; the row's `created_at` must be the same.
 */
export function newId(prefix: string, createdAt: number): string {
  const random = crypto.getRandomValues(new Uint8Array(randomDigits / 2)).toHex()
  return `${prefix}${createdAt.toString(16).padStart(timeDigits, '0')}${random}`
}

/** When the id was made, in Unix milliseconds; undefined for ids that `newId` has not made. */
export function timeOfId(id: string): number | undefined {
  const digits = /(?:^|[_-])([0-9a-f]{12})[0-9a-f]{20}$/.exec(id)?.[1]
  return digits === undefined ? undefined : Number.parseInt(digits, 16)
}
