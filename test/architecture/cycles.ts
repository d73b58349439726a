import type { SourceFile } from './source.ts'

/** Groups of files that import one another in a circle, imports of types included; each group sorted. */
export function importCycles(files: readonly Pick<SourceFile, 'path' | 'imports'>[]): readonly (readonly string[])[] {
  return new CycleSearch(
    new Map(files.map(({ path, imports }) => [path, imports.filter(({ own }) => own).map(({ target }) => target)])),
  ).run()
}

/** Tarjan's algorithm: strongly connected components. */
class CycleSearch {
  readonly #targets: ReadonlyMap<string, readonly string[]>
  readonly #order = new Map<string, number>()
  readonly #lowest = new Map<string, number>()
  readonly #stack: string[] = []
  readonly #cycles: (readonly string[])[] = []

  constructor(targets: ReadonlyMap<string, readonly string[]>) {
    this.#targets = targets
  }

  run(): readonly (readonly string[])[] {
    for (const path of this.#targets.keys()) if (!this.#order.has(path)) this.#visit(path)
    return this.#cycles
  }

  #visit(path: string): void {
    this.#order.set(path, this.#order.size)
    let lowest = this.#order.get(path)!
    this.#stack.push(path)
    const targets = this.#targets.get(path) ?? []
    for (const target of targets) {
      if (!this.#targets.has(target)) continue
      if (!this.#order.has(target)) {
        this.#visit(target)
        lowest = Math.min(lowest, this.#lowest.get(target)!)
      } else if (this.#stack.includes(target)) lowest = Math.min(lowest, this.#order.get(target)!)
    }
    this.#lowest.set(path, lowest)
    if (lowest !== this.#order.get(path)) return
    const cycle = this.#stack.splice(this.#stack.indexOf(path))
    if (cycle.length > 1 || targets.includes(path)) this.#cycles.push(cycle.toSorted())
  }
}
