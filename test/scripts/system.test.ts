import { describe, expect, it } from 'vitest';
import { driverFor, parseSystem } from '../../scripts/setup/system.mjs';

// The lines that matter of each distribution's own /etc/os-release.
const releases = {
  debian12:
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
  debian13:
    'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n',
  sid: 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nVERSION_CODENAME=forky\nID=debian\n',
  ubuntu: 'VERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=noble\n',
  mint: 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\nVERSION_CODENAME=wilma\n',
  fedora: 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=42\n',
  rocky: 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
  manjaro: 'ID=manjaro\nID_LIKE=arch\n',
  alpine: 'ID=alpine\nVERSION_ID=3.20.1\n',
  tumbleweed: 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\nVERSION_ID="20250101"\n',
};

const driver = (name: keyof typeof releases) => driverFor(parseSystem('linux', releases[name]));

describe('how a system gets its Vulkan driver', () => {
  it('reads os-release, quoted or not', () => {
    expect(parseSystem('linux', releases.mint)).toEqual({
      platform: 'linux',
      id: 'linuxmint',
      like: ['ubuntu', 'debian'],
      version: '22',
      codename: 'wilma',
    });
    expect(parseSystem('linux', '').id).toBe('');
  });

  it('is apt on Debian and Ubuntu, with backports on Debian 12 alone', () => {
    const packages = ['mesa-vulkan-drivers', 'libvulkan1'];
    expect(driver('debian12')).toEqual({ apt: true, packages, backports: true });
    expect(driver('debian13')).toEqual({ apt: true, packages, backports: false });
    expect(driver('sid')).toEqual({ apt: true, packages, backports: false });
    expect(driver('ubuntu')).toEqual({ apt: true, packages, backports: false });
  });

  it('is a command to run elsewhere', () => {
    expect(driver('mint')).toEqual({ command: 'apt-get install mesa-vulkan-drivers libvulkan1' });
    expect(driver('fedora').command).toMatch(/^dnf install /);
    expect(driver('rocky').command).toMatch(/^dnf install /);
    expect(driver('manjaro').command).toMatch(/^pacman /);
    expect(driver('alpine').command).toMatch(/^apk add /);
    expect(driver('tumbleweed').command).toMatch(/^zypper install /);
  });

  it('is a sentence where no command is known', () => {
    expect(driverFor(parseSystem('darwin', '')).sentence).toMatch(/graphics driver/);
    expect(driverFor(parseSystem('linux', 'ID=slackware\n')).sentence).toMatch(/Vulkan/);
  });
});
