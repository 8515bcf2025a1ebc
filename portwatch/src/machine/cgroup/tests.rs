use proptest::prelude::*;
use rstest::rstest;

use super::*;

const ID: &str = "4f2a6d1b9c3e8f70a1b2c3d4e5f60718293a4b5c6d7e8f901234567890abcdef";
const UID: &str = "0f3c2a10-77aa-4c1e-9d33-5f6e7a8b9c0d";
const UID_SYSTEMD: &str = "0f3c2a10_77aa_4c1e_9d33_5f6e7a8b9c0d";
const STATIC_POD: &str = "6a3f9b1c2d4e5f60718293a4b5c6d7e8";

#[rstest]
#[case::v2(
    "0::/system.slice/nginx.service\n",
    Some("/system.slice/nginx.service")
)]
#[case::v2_root("0::/\n", Some("/"))]
#[case::removed("0::/user.slice/a.scope (deleted)\n", Some("/user.slice/a.scope"))]
#[case::hybrid_prefers_unified(
    "4:memory:/m\n0::/system.slice/a.service\n",
    Some("/system.slice/a.service")
)]
#[case::hybrid_root(
    "9:name=systemd:/s\n8:pids:/\n4:memory:/docker/x\n1:cpu:/c\n0::/\n",
    Some("/docker/x")
)]
#[case::order_is_ours("4:memory:/m\n5:devices:/d\n8:pids:/p\n", Some("/p"))]
#[case::mounted_together("3:cpu,cpuacct:/c\n", Some("/c"))]
#[case::not_a_prefix("3:cpuacct:/a\n", None)]
#[case::all_root("8:pids:/\n0::/\n", Some("/"))]
#[case::colons("0::/a:b:c\n", Some("/a:b:c"))]
#[case::named_only("1:name=systemd:/x\n", None)]
#[case::empty("", None)]
#[case::nonsense("x\n::\n0\n", None)]
fn the_path_is_chosen_by_the_documented_rule(#[case] text: &str, #[case] expected: Option<&str>) {
    assert_eq!(choose(text), expected);
}

#[rstest]
#[case("/system.slice/nginx.service", Some("nginx.service"))]
#[case("/init.scope", Some("init.scope"))]
#[case(
    "/system.slice/system-getty.slice/getty@tty1.service",
    Some("getty@tty1.service")
)]
#[case(r"/system.slice/dev-disk\x2duuid.swap", Some(r"dev-disk\x2duuid.swap"))]
#[case("/system.slice/cups.socket", Some("cups.socket"))]
#[case("/user.slice/user-1000.slice/session-3.scope", Some("session-3.scope"))]
#[case(
    "/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope",
    Some("app-x.scope")
)]
#[case(
    "/user.slice/user-1000.slice/user@1000.service/init.scope",
    Some("init.scope")
)]
#[case(
    "/system.slice/postgresql@15-main.service/worker",
    Some("postgresql@15-main.service")
)]
#[case("/lxc.payload.web/system.slice/nginx.service", Some("nginx.service"))]
#[case("/system.slice/_cpu.service", Some("cpu.service"))]
#[case("/user.slice/user-1000.slice", None)]
#[case("/", None)]
#[case("/.service", None)]
#[case("/a b.service", None)]
#[case("/x\u{1b}[2J.service", None)]
#[case("/docker/abc", None)]
fn units_are_named_as_systemd_names_them(#[case] path: &str, #[case] expected: Option<&str>) {
    assert_eq!(unit(path).as_deref(), expected);
}

#[rstest]
#[case::docker_v1("/docker/{ID}", "docker", None)]
#[case::docker_systemd("/system.slice/docker-{ID}.scope", "docker", None)]
#[case::docker_rootless(
    "/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{ID}.scope",
    "docker",
    None
)]
#[case::docker_with_systemd("/docker/{ID}/system.slice/nginx.service", "docker", None)]
#[case::ecs("/ecs/0123456789abcdef0123456789abcdef/{ID}", "", None)]
#[case::nerdctl("/system.slice/nerdctl-{ID}.scope", "containerd", None)]
#[case::containerd_cgroupfs("/k8s.io/{ID}", "containerd", None)]
#[case::podman("/machine.slice/libpod-{ID}.scope", "podman", None)]
#[case::podman_inner("/machine.slice/libpod-{ID}.scope/container", "podman", None)]
#[case::podman_rootless(
    "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
    "podman",
    None
)]
#[case::podman_cgroupfs("/libpod_parent/libpod-{ID}", "podman", None)]
#[case::podman_service("/system.slice/web.service/libpod-payload-{ID}", "podman", None)]
#[case::k8s_containerd_systemd(
    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_SYSTEMD}.slice/cri-containerd-{ID}.scope",
    "containerd",
    Some(UID)
)]
#[case::k8s_guaranteed(
    "/kubepods.slice/kubepods-pod{UID_SYSTEMD}.slice/cri-containerd-{ID}.scope",
    "containerd",
    Some(UID)
)]
#[case::k8s_crio_systemd(
    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_SYSTEMD}.slice/crio-{ID}.scope",
    "crio",
    Some(UID)
)]
#[case::k8s_crio_cgroupfs("/kubepods/besteffort/pod{UID}/crio-{ID}", "crio", Some(UID))]
#[case::k8s_cgroupfs("/kubepods/burstable/pod{UID}/{ID}", "kubernetes", Some(UID))]
#[case::k8s_docker(
    "/kubepods.slice/kubepods-pod{UID_SYSTEMD}.slice/docker-{ID}.scope",
    "docker",
    Some(UID)
)]
#[case::k8s_static_pod(
    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC_POD}.slice/cri-containerd-{ID}.scope",
    "containerd",
    Some(STATIC_POD)
)]
#[case::k8s_crun(
    "/kubepods.slice/kubepods-pod{UID_SYSTEMD}.slice/crio-{ID}.scope/container",
    "crio",
    Some(UID)
)]
#[case::k8s_qos_cgroupfs("/kubepods/besteffort/pod{UID}/{ID}", "kubernetes", Some(UID))]
#[case::k3s(
    "/kubepods/burstable/pod{UID}/cri-containerd-{ID}",
    "containerd",
    Some(UID)
)]
#[case::docker_of_runc_without_systemd("/system.slice:docker:{ID}", "docker", None)]
#[case::docker_slice("/web.slice/docker-{ID}.scope/init", "docker", None)]
#[case::of_another_cgroup_namespace("/../../docker-{ID}.scope", "docker", None)]
#[case::nerdctl_cgroupfs("/default/{ID}", "", None)]
#[case::docker_in_docker("/docker/{OTHER}/docker/{ID}", "docker", None)]
#[case::k8s_mixed_drivers(
    "/system.slice/containerd.service/kubepods-burstable-pod{UID_SYSTEMD}.slice:cri-containerd:{ID}",
    "containerd",
    Some(UID)
)]
#[case::kind(
    "/docker/{OTHER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID_SYSTEMD}.slice/cri-containerd-{ID}.scope",
    "containerd",
    Some(UID)
)]
fn containers_are_found(#[case] path: &str, #[case] runtime: &str, #[case] pod: Option<&str>) {
    let path = path
        .replace("{ID}", ID)
        .replace("{OTHER}", &ID.replace('4', "5"))
        .replace("{UID}", UID)
        .replace("{UID_SYSTEMD}", UID_SYSTEMD)
        .replace("{STATIC_POD}", STATIC_POD);
    let expected = Container {
        id: ID.to_owned(),
        runtime: (!runtime.is_empty()).then(|| runtime.to_owned()),
        pod: pod.map(str::to_owned),
    };
    assert_eq!(container(&path), Some(expected));
}

#[rstest]
#[case("/lxc.payload.web", "web")]
#[case("/lxc.payload.web/system.slice/nginx.service", "web")]
#[case("/lxc/101/ns/system.slice/nginx.service", "101")]
#[case("/lxc.payload/web/init.scope", "web")]
#[case("/lxc.payload.project_web/system.slice/nginx.service", "project_web")]
#[case(
    "/user.slice/user-1000.slice/user@1000.service/lxc.payload.web/init.scope",
    "web"
)]
fn lxc_containers_have_names(#[case] path: &str, #[case] name: &str) {
    let expected = Container {
        id: name.to_owned(),
        runtime: Some("lxc".to_owned()),
        pod: None,
    };
    assert_eq!(container(path), Some(expected));
}

#[rstest]
#[case("/machine.slice/systemd-nspawn@web.service/payload/init.scope", "web")]
#[case(
    r"/machine.slice/machine-my\x2dweb.scope/payload/system.slice/a.service",
    "my-web"
)]
#[case("/machine.slice/systemd-nspawn@web.service/payload", "web")]
fn machines_of_nspawn_have_names(#[case] path: &str, #[case] name: &str) {
    let expected = Container {
        id: name.to_owned(),
        runtime: Some("systemd-nspawn".to_owned()),
        pod: None,
    };
    assert_eq!(container(path), Some(expected));
}

#[test]
fn a_container_of_ecs_is_of_its_task() {
    let task = &ID[..32];
    let found = container(&format!("/ecs/{task}/{task}-1234567890")).unwrap();
    assert_eq!(found.id, format!("{task}-1234567890"));
    assert_eq!(container(&format!("/ecs/{task}/{}-12", &ID[32..])), None);
}

#[rstest]
#[case("/")]
#[case("/machine.slice/systemd-nspawn@web.service/supervisor")]
#[case(r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator")]
#[case("/machine.slice/libpod-conmon-{ID}.scope/payload")]
#[case("/system.slice/web.service/payload")]
#[case("/payload")]
#[case("/kubepods/besteffort/pod{UID}/crio-conmon-{ID}")]
#[case("/user.slice/user-1000.slice/user@1000.service/user.slice/podman-4711.scope")]
#[case("/system.slice/containerd.service")]
#[case("/system.slice/nginx.service")]
#[case("/system.slice/docker.service")]
#[case("/machine.slice/libpod-conmon-{ID}.scope")]
#[case("/kubepods.slice/kubepods-pod{UID_SYSTEMD}.slice/crio-conmon-{ID}.scope")]
#[case("/lxc.monitor.web")]
#[case("/lxc.payload.")]
#[case("/docker/4f2a6d1b9c3e")]
#[case("/kubepods/burstable/pod{UID}")]
fn what_is_no_container_is_none(#[case] path: &str) {
    let path = path
        .replace("{ID}", ID)
        .replace("{UID}", UID)
        .replace("{UID_SYSTEMD}", UID_SYSTEMD);
    assert_eq!(container(&path), None, "{path}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_path_is_taken(path: String) {
        let _ = (choose(&path), unit(&path), container(&path));
    }
}
