/** The known word that was probably meant, for "did you mean": by edit distance, else one word holding the other (`url`, `base_url`). */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const wanted = fold(word)
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1
  let related: string | undefined
  for (const candidate of known) {
    const folded = fold(candidate)
    const distance = editDistance(wanted, folded)
    if (distance < bestDistance && distance < Math.max(wanted.length, folded.length)) {
      best = candidate
      bestDistance = distance
    }
    if (wanted.length >= 3 && folded.length >= 3 && (folded.includes(wanted) || wanted.includes(folded))) related ??= candidate
  }
  return bestDistance <= 1 ? best : (related ?? best)
}

/** Whether `word` is so close to a known one that it must be a slip: at most one edit in short words, two in longer ones; case, `-` and `_` do not count. */
export function isNearMiss(word: string, known: Iterable<string>): boolean {
  const wanted = fold(word)
  for (const candidate of known) {
    const folded = fold(candidate)
    const shorter = Math.min(wanted.length, folded.length)
    if (shorter < 3) continue
    if (editDistance(wanted, folded) <= (shorter <= 5 ? 1 : 2)) return true
  }
  return false
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_ ]/g, '')
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(previous[j]! + 1, row[j - 1]! + 1, replaced)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1)
      row.push(cost)
    }
    before = previous
    previous = row
  }
  return previous[b.length]!
}
