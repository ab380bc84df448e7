import { describe, expect, it } from 'vitest';
import {
  debianSource,
  hasSuite,
  parseDeb822,
  parseOneLine,
  sourcesFile,
} from '../../scripts/setup/apt-sources.mjs';

// As Debian 12's container images have it, comments inside the stanza included.
const container = `Types: deb
# http://snapshot.debian.org/archive/debian/20250520T000000Z
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
# http://snapshot.debian.org/archive/debian-security/20250520T000000Z
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;

// As its installer writes it.
const installed = `#deb cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_ - Official amd64 NETINST]/ bookworm main non-free-firmware

deb http://ftp.de.debian.org/debian/ bookworm main non-free-firmware
deb-src http://ftp.de.debian.org/debian/ bookworm main non-free-firmware

deb http://security.debian.org/debian-security bookworm-security main non-free-firmware
deb http://ftp.de.debian.org/debian/ bookworm-updates main non-free-firmware # updates
`;

const others = `deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/debian bookworm stable
deb [signed-by=/usr/share/keyrings/hashicorp-archive-keyring.gpg] https://apt.releases.hashicorp.com bookworm main
deb http://archive.raspberrypi.com/debian/ bookworm main
`;

const nobody = new Map<string, string>();

describe("apt's list of sources", () => {
  it('reads stanzas, with comments, several suites and options', () => {
    expect(parseDeb822(container)).toEqual([
      {
        uris: ['http://deb.debian.org/debian'],
        suites: ['bookworm', 'bookworm-updates'],
        components: ['main'],
        options: [['Signed-By', '/usr/share/keyrings/debian-archive-keyring.gpg']],
      },
      {
        uris: ['http://deb.debian.org/debian-security'],
        suites: ['bookworm-security'],
        components: ['main'],
        options: [['Signed-By', '/usr/share/keyrings/debian-archive-keyring.gpg']],
      },
    ]);
  });

  it('reads lines, without comments, sources of source packages and disks', () => {
    expect(parseOneLine(`${installed}deb cdrom:[Debian 12]/ bookworm main\n`)).toEqual([
      {
        uris: ['http://ftp.de.debian.org/debian/'],
        suites: ['bookworm'],
        components: ['main', 'non-free-firmware'],
        options: [],
      },
      {
        uris: ['http://security.debian.org/debian-security'],
        suites: ['bookworm-security'],
        components: ['main', 'non-free-firmware'],
        options: [],
      },
      {
        uris: ['http://ftp.de.debian.org/debian/'],
        suites: ['bookworm-updates'],
        components: ['main', 'non-free-firmware'],
        options: [],
      },
    ]);
  });

  it('gives the options of a line the names that stanzas have for them', () => {
    const line =
      'deb [ arch=amd64,arm64 arch-=i386 signed-by=/k.gpg check-valid-until=no lang+=de ] http://x/debian bookworm main';
    expect(parseOneLine(line)[0].options).toEqual([
      ['Architectures', 'amd64 arm64'],
      ['Architectures-Remove', 'i386'],
      ['Signed-By', '/k.gpg'],
      ['Check-Valid-Until', 'no'],
      ['Languages-Add', 'de'],
    ]);
  });

  it('skips what is switched off, and keeps a key of many lines', () => {
    const key =
      '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEYCQjIxYJKwYBBAHaRw8BAQdAD\n -----END PGP PUBLIC KEY BLOCK-----';
    const text = `Enabled: no\nTypes: deb\nURIs: http://off/debian\nSuites: bookworm\nComponents: main\n\n\ntypes: deb deb-src\nuris: http://on/debian\nsuites: bookworm\ncomponents: main\n# and more\n contrib\nSigned-By:${key}\n`;
    const sources = parseDeb822(text);
    expect(sources).toEqual([
      {
        uris: ['http://on/debian'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        options: [['Signed-By', key]],
      },
    ]);
    expect(parseDeb822(sourcesFile(sources[0], 'bookworm-backports'))[0].options).toEqual([
      ['Signed-By', key],
    ]);
  });
});

describe('the source of the backports', () => {
  it("is Debian's archive for exactly this release, whoever else is there", () => {
    const sources = [...parseOneLine(others), ...parseDeb822(container)];
    const origins = new Map([
      ['http://deb.debian.org/debian/', 'Debian'],
      ['http://archive.raspberrypi.com/debian/', 'Raspberry Pi Foundation'],
      ['https://apt.releases.hashicorp.com/', 'Artifactory'],
    ]);
    expect(debianSource(sources, 'bookworm', origins)?.uris).toEqual(['http://deb.debian.org/debian']);
    expect(debianSource(sources, 'trixie', origins)).toBeUndefined();
    expect(debianSource(parseOneLine(others), 'bookworm', origins)).toBeUndefined();
  });

  it('is told by who signs it where its address says nothing, and by its address before the first update', () => {
    const mirror = parseOneLine('deb http://mirror.example/remote-deb bookworm main');
    expect(
      debianSource(mirror, 'bookworm', new Map([['http://mirror.example/remote-deb/', 'Debian']])),
    ).toBeDefined();
    expect(debianSource(mirror, 'bookworm', nobody)).toBeUndefined();
    expect(debianSource(parseOneLine(installed), 'bookworm', nobody)?.uris).toEqual([
      'http://ftp.de.debian.org/debian/',
    ]);
  });

  it('is written with the address and the options of the source that it comes from', () => {
    const [source] = parseDeb822(container);
    expect(sourcesFile(source, 'bookworm-backports')).toBe(
      'Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm-backports\nComponents: main\n' +
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n',
    );
  });

  it('is not needed where the suite is there already', () => {
    expect(hasSuite(parseDeb822(container), 'bookworm-backports')).toBe(false);
    expect(
      hasSuite(parseOneLine('deb http://x/debian bookworm-backports main contrib'), 'bookworm-backports'),
    ).toBe(true);
    expect(
      hasSuite(parseOneLine('deb http://x/debian bookworm-backports contrib'), 'bookworm-backports'),
    ).toBe(false);
  });
});
