import { overflowLabel } from './instruments.ts'

/** What the catalogue knows of models: only its own names become labels, never a caller's. */
export interface ModelNames {
  /** The catalogue’s id of a requested model; undefined: there is none, or several. */
  catalogueIdOf(requestedModel: string): string | undefined
  /** The catalogue's id of a provider's model; undefined: it is not known. */
  catalogueIdOfTarget(providerId: string, upstreamId: string): string | undefined
}

export const noModelNames: ModelNames = { catalogueIdOf: () => undefined, catalogueIdOfTarget: () => undefined }

/** Names cached with their handles; further ones are looked up each time. */
const maxCached = 4_000

/** Handles by provider and model, made once each; what the catalogue does not know shares one a provider. */
export class ByModel<Handles> {
  readonly #label: (provider: string, model: string) => string | undefined
  readonly #make: (provider: string, label: string) => Handles
  readonly #known = new Map<string, Map<string, Handles>>()
  readonly #others = new Map<string, Handles>()
  #size = 0

  /** `label`: undefined for unknown models. `make`: gives the same series for the same label. */
  constructor(label: (provider: string, model: string) => string | undefined, make: (provider: string, label: string) => Handles) {
    this.#label = label
    this.#make = make
  }

  /** `provider` must be one of few. */
  get(provider: string, model: string): Handles {
    return this.find(provider, model) ?? this.#otherOf(provider)
  }

  /** Undefined for unknown models. */
  find(provider: string, model: string): Handles | undefined {
    return this.#known.get(provider)?.get(model) ?? this.#lookup(provider, model)
  }

  #lookup(provider: string, model: string): Handles | undefined {
    const label = model === '' ? '' : this.#label(provider, model)
    if (label === undefined) return undefined
    const handles = this.#make(provider, label)
    if (this.#size < maxCached) {
      const models = this.#known.get(provider) ?? new Map<string, Handles>()
      models.set(model, handles)
      this.#known.set(provider, models)
      this.#size += 1
    }
    return handles
  }

  #otherOf(provider: string): Handles {
    const known = this.#others.get(provider)
    if (known) return known
    const handles = this.#make(provider, overflowLabel)
    this.#others.set(provider, handles)
    return handles
  }
}
