import { homedir } from 'node:os'
import { resolve } from 'node:path'
import type { Egress } from '../egress/egress.ts'
import { loadProviderDefinitions, plannedProviders } from '../providers/index.ts'
import type { PlannedProvider, ProviderDefinition } from '../providers/provider.ts'
import { wantsColour } from '../telemetry/colour.ts'
import { buildConfigText } from './build.ts'
import type { Config } from './config.ts'
import { type Environment, readPort, settingOf } from './environment.ts'
import { parseLoggingSpec, readLogging } from './logging.ts'
import { readModels } from './models.ts'
import { parseConfigText } from './parse.ts'
import { readProviders } from './providers.ts'
import { checkQuotaNames, checkQuotaProviders } from './quota-providers.ts'
import { checkQuotaStore } from './quota-store.ts'
import { ConfigErrors, type ConfigWarning, inFileOrder, Report } from './report.ts'
import { readApis, readUnusedSections, readVersion } from './sections.ts'
import { readServer } from './server.ts'
import { type ConfigOrigin, findSource, type FoundSource, moduleFolders } from './source.ts'
import { parseProvidersSpec } from './spec.ts'
import { readStorage } from './storage.ts'
import { expandHome } from './substitute.ts'
import { readTelemetry } from './telemetry.ts'
import { child } from './tree.ts'
import type { Strictness } from './validate.ts'

/** What the command line says; it counts more than variables and the file. */
export interface ConfigFlags {
  readonly port?: number | undefined
  readonly host?: string | undefined
  readonly workers?: number | undefined
  /** `--providers`: serve these in the place of a file. */
  readonly providers?: string | undefined
  /** The grammar of `CORRAL_LOGGING`. */
  readonly logging?: string | undefined
}

export interface LoadOptions {
  /** A file's path, a distribution's name, or the configuration's text itself. Default: CORRAL_CONFIG (OGX_, LLAMA_STACK_), then `starter`. */
  readonly source?: string | undefined
  /** Default: the process's. */
  readonly env?: Environment | undefined
  readonly flags?: ConfigFlags | undefined
  /** Every unknown key is an error. Default false. */
  readonly strict?: boolean | undefined
  /** No server is to be started with it: that the files of a collector are missing is a warning then. Default false. */
  readonly offline?: boolean | undefined
  /** The way to local servers that `starter` looks for; absent: it does not look. */
  readonly egress?: Pick<Egress, 'request'> | undefined
  /** Default: every provider of this version. */
  readonly definitions?: readonly ProviderDefinition[] | undefined
  /** Default: every type that this version knows and does not serve. */
  readonly planned?: readonly PlannedProvider[] | undefined
  /** Default: the process's. */
  readonly cwd?: string | undefined
  /** The folder that `~` refers to. Default: the variable HOME, then the home folder of the user. */
  readonly home?: string | undefined
}

export interface LoadedConfig {
  readonly config: Config
  readonly warnings: readonly ConfigWarning[]
  readonly origin: ConfigOrigin
}

/**
 * Finds, reads, expands and checks a configuration. Precedence: flag, variable, file, default.
 * Throws one ConfigErrors that holds everything that is wrong.
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadedConfig> {
  const { env = process.env, flags = {}, cwd = process.cwd(), planned = plannedProviders } = options
  const definitions = options.definitions ?? (await loadProviderDefinitions())
  const home = options.home ?? env.HOME ?? homedir()
  const found = await findConfig(options, { env, cwd, home, definitions, planned })
  const report = new Report(found.origin.name)
  const root = parseConfigText(found.text, report)
  report.throwIfWrong()
  if (!root) throw new ConfigErrors([{ file: found.origin.name, line: 0, column: 0, path: '', message: 'the file cannot be read' }])

  const strictness: Strictness = options.strict ? 'strict' : 'lenient'
  const using = { env, home, report, strictness, cwd }
  const distribution = readVersion(root, using) ?? found.origin.name
  const apis = readApis(root, { ...using, definitions })
  const folders = moduleFolders(found.origin, cwd)
  const forgiving = found.origin.kind === 'distribution'
  const { entries, ids } = await readProviders(root, { ...using, definitions, planned, apis, folders, forgiving })
  const models = readModels([child(child(root, 'registered_resources'), 'models'), child(root, 'models')], { ...using, ids })
  readUnusedSections(root, using)
  const corralHome = resolve(cwd, expandHome(env['CORRAL_HOME']?.trim() || '~/.corral', home))
  const settings = readServer(root, { ...using, corralHome, overrides: readOverrides(flags, env, report) })
  const storage = readStorage(root, { ...using, corralHome })
  const telemetry = readTelemetry(root, { ...using, corralHome, offline: options.offline })
  if (settings) {
    const section = child(child(root, 'server'), 'quota') ?? root
    checkQuotaStore(settings.quota, section, { storage, report })
    checkQuotaNames(settings.quota, section, report)
    checkQuotaProviders(settings.quota, section, { ids, strictness, report })
  }
  const categoryLevels = { ...readLogging(root, using), ...loggingOverride(flags, env, report) }
  report.throwIfWrong()
  if (!settings) throw new ConfigErrors([], report.warnings)
  if (entries.length === 0) report.warn('notice', child(root, 'providers') ?? root, 'no provider is enabled: no models will be available')
  const file = settingOf(env, 'LOG_FILE')?.value
  const logging = {
    categoryLevels,
    ...(!wantsColour(env, true) && { colour: false }),
    ...(file !== undefined && { file: resolve(cwd, expandHome(file, home)) }),
  }
  const config: Config = {
    distribution,
    apis,
    providers: entries,
    models,
    ...settings,
    storage,
    home: corralHome,
    telemetry,
    logging,
  }
  return { config, warnings: inFileOrder(report.warnings), origin: found.origin }
}

interface SourceSearchContext {
  readonly env: Environment
  readonly cwd: string
  readonly home: string
  readonly definitions: readonly ProviderDefinition[]
  readonly planned: readonly PlannedProvider[]
}

async function findConfig({ source, flags, egress }: LoadOptions, context: SourceSearchContext): Promise<FoundSource> {
  const spec = flags?.providers
  if (spec !== undefined) {
    if (source !== undefined) {
      const message = 'cannot be combined with a configuration file'
      throw new ConfigErrors([{ file: '--providers', line: 0, column: 0, path: '', message }])
    }
    const text = buildConfigText(parseProvidersSpec(spec, context), { name: 'providers' })
    return { text, origin: { kind: 'providers', name: '--providers' } }
  }
  const named = source ?? settingOf(context.env, 'CONFIG')?.value ?? 'starter'
  return findSource(named, { ...context, egress })
}

function readOverrides(flags: ConfigFlags, env: Environment, report: Report): { port?: number; host?: string; workers?: number } {
  const variable = settingOf(env, 'PORT')
  const port = flags.port === undefined ? readPort(variable?.value, variable?.name ?? '', report) : readPort(flags.port, '--port', report)
  if (flags.workers !== undefined && !(Number.isInteger(flags.workers) && flags.workers >= 1 && flags.workers <= 256)) {
    report.errorOf('--workers', 'must be an integer from 1 to 256')
  }
  return {
    ...(port !== undefined && { port }),
    ...(flags.host !== undefined && { host: flags.host.trim() }),
    ...(flags.workers !== undefined && { workers: flags.workers }),
  }
}

function loggingOverride(flags: ConfigFlags, env: Environment, report: Report): Readonly<Record<string, string>> {
  if (flags.logging !== undefined) return parseLoggingSpec(flags.logging, '--logging', report)
  const variable = settingOf(env, 'LOGGING')
  return variable ? parseLoggingSpec(variable.value, variable.name, report) : {}
}
