import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../sae/errors.js';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Where a bucket is, and how requests are signed. */
export interface S3Settings {
  /** The bucket's address, with a slash at its end. */
  readonly base: URL;
  readonly region: string;
  /** Asked for again where those that were given have run out. */
  credentials(): Promise<Credentials>;
}

type Profile = Readonly<Record<string, string>>;

/** What the environment and the files of AWS's tools say about a bucket. @throws ConfigError if there are no credentials. */
export async function s3Settings(bucket: string): Promise<S3Settings> {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw new ConfigError(
      // It is not shown, since keys may be in the wrong place there.
      'The store is expected as s3://BUCKET/PREFIX; the name of a bucket has 3 to 63 lower-case letters, digits, dots and hyphens.',
    );
  }
  const env = { ...process.env };
  const profile = await readProfile();
  const region = env.AWS_REGION || env.AWS_DEFAULT_REGION || profile.region || 'us-east-1';
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || profile.endpoint_url;
  await credentials();
  return { base: baseOf(bucket, region, endpoint), region, credentials };
}

function baseOf(bucket: string, region: string, endpoint: string | undefined): URL {
  const amazon = `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  const url = URL.canParse(endpoint ?? amazon) ? new URL(endpoint ?? amazon) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username || url.password) {
    // It is not shown, since what is in the wrong place there may be a key.
    throw new ConfigError(
      'The address of the S3 endpoint, in AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile, is expected as http://HOST:PORT or https://HOST.',
    );
  }
  // Amazon's certificates hold for names without further dots.
  const virtual = /\.amazonaws\.com(\.cn)?$/.test(url.hostname) && !bucket.includes('.');
  if (virtual) url.hostname = `${bucket}.${url.hostname}`;
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${virtual ? '' : `${bucket}/`}`;
  return url;
}

async function credentials(): Promise<Credentials> {
  const { env } = process;
  // Those of the environment come before a profile, as for AWS's command line.
  const profile: Profile =
    env.AWS_ACCESS_KEY_ID && env.AWS_SECRET_ACCESS_KEY
      ? {
          aws_access_key_id: env.AWS_ACCESS_KEY_ID,
          aws_secret_access_key: env.AWS_SECRET_ACCESS_KEY,
          aws_session_token: env.AWS_SESSION_TOKEN ?? '',
        }
      : await readProfile();
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey } = profile;
  if (!accessKeyId || !secretAccessKey) {
    throw new ConfigError(
      `There are no credentials for S3: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor keys of the profile ${profileName()} in ~/.aws. ` +
        'Set them; where AWS\'s command line has others, such as those of a role, eval "$(aws configure export-credentials --format env)" does that.',
    );
  }
  const sessionToken = profile.aws_session_token;
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}

function profileName(): string {
  return process.env.AWS_PROFILE || process.env.AWS_DEFAULT_PROFILE || 'default';
}

/** What both files say about the profile that the environment names: keys of the first one come before the second one's. */
async function readProfile(): Promise<Profile> {
  const { env } = process;
  const name = profileName();
  const [first, second] = await Promise.all([
    readSection(env.AWS_SHARED_CREDENTIALS_FILE || join(homedir(), '.aws/credentials'), name),
    readSection(
      env.AWS_CONFIG_FILE || join(homedir(), '.aws/config'),
      name === 'default' ? name : `profile ${name}`,
    ),
  ]);
  if (!first && !second && (env.AWS_PROFILE || env.AWS_DEFAULT_PROFILE)) {
    throw new ConfigError(`AWS_PROFILE is ${name}, and neither file in ~/.aws has a profile of that name.`);
  }
  return { ...second, ...first };
}

/** A section of a file of AWS's tools; indented lines, which belong to the one before, are left out. */
async function readSection(file: string, name: string): Promise<Profile | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const values: Record<string, string> = {};
  let found = false;
  let inside = false;
  for (const line of text.split(/\r?\n/)) {
    const heading = /^\[\s*(.+?)\s*\]/.exec(line);
    if (heading) {
      inside = heading[1]!.replace(/\s+/, ' ') === name;
      found ||= inside;
    }
    const [, key, value] = /^([^\s#;=[][^=]*?)\s*=\s*(.*?)(?:\s+[#;].*)?$/.exec(line) ?? [];
    if (inside && key !== undefined) values[key.toLowerCase()] = value!.trim();
  }
  return found ? values : undefined;
}
