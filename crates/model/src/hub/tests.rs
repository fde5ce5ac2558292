mod server;

use std::collections::BTreeMap;
use std::net::TcpListener;

use self::server::{Answer, COMMIT, Server};
use super::*;
use crate::checkpoint::Checkpoint;
use crate::testing::golden;

fn id() -> HubId {
    HubId::parse("owner/name").unwrap()
}

/// A hub that keeps downloads in a temporary folder.
struct Setup {
    cache: tempfile::TempDir,
    hub: Hub,
}

impl Setup {
    fn new(endpoint: &str) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let hub = Hub::new(cache.path().join("hub")).with_endpoint(endpoint).unwrap();
        Setup { cache, hub }
    }

    fn fetch(&self) -> Result<PathBuf, HubError> {
        self.hub.fetch(&id(), &mut |_| ())
    }
}

#[test]
fn a_checkpoint_in_one_file_is_downloaded_into_the_usual_cache() {
    let server = Server::of_folder(&golden("moe"));
    let setup = Setup::new(&server.endpoint);
    let folder = setup.fetch().unwrap();
    assert_eq!(folder, setup.cache.path().join("hub/models--owner--name/snapshots").join(COMMIT));
    let checkpoint = Checkpoint::open(folder).unwrap();
    let original = Checkpoint::open(golden("moe")).unwrap();
    assert_eq!(checkpoint.files()[0].bytes(), original.files()[0].bytes());
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert!(paths.contains(&"/owner/name/resolve/main/config.json".to_owned()), "{paths:?}");
    let weights = format!("/owner/name/resolve/{COMMIT}/model.safetensors");
    assert!(paths.contains(&weights), "the weights come from the commit of the config: {paths:?}");
    assert!(!paths.iter().any(|path| path.contains("golden")), "{paths:?}");
}

#[test]
fn a_sharded_checkpoint_is_downloaded_with_all_its_shards() {
    let server = Server::of_folder(&golden("moe-gqa"));
    let setup = Setup::new(&server.endpoint);
    let checkpoint = Checkpoint::open(setup.fetch().unwrap()).unwrap();
    assert_eq!(checkpoint.files().len(), 7);
    assert_eq!(checkpoint.config().heads(), 6);
}

#[test]
fn what_is_in_the_cache_is_not_asked_for_again() {
    for golden_name in ["moe", "moe-gqa"] {
        let server = Server::of_folder(&golden(golden_name));
        let setup = Setup::new(&server.endpoint);
        let first = setup.fetch().unwrap();
        let requests = server.requests().len();
        assert_eq!(setup.fetch().unwrap(), first);
        let commit = HubId::parse(&format!("owner/name@{COMMIT}")).unwrap();
        assert_eq!(setup.hub.fetch(&commit, &mut |_| ()).unwrap(), first);
        let offline = setup.hub.clone().with_offline(true);
        assert_eq!(offline.fetch(&id(), &mut |_| ()).unwrap(), first);
        assert_eq!(server.requests().len(), requests);
    }
}

#[test]
fn only_what_is_missing_is_downloaded() {
    let server = Server::of_folder(&golden("moe-gqa"));
    let setup = Setup::new(&server.endpoint);
    let folder = setup.fetch().unwrap();
    let shard = folder.join("model-00002-of-00007.safetensors");
    fs::remove_file(fs::canonicalize(&shard).unwrap()).unwrap();
    fs::remove_file(&shard).unwrap();
    let before = server.requests().len();
    assert_eq!(setup.fetch().unwrap(), folder);
    assert!(shard.exists());
    let again = server.requests().split_off(before);
    assert!(again.iter().all(|request| !request.path.contains("model-00001")), "{again:?}");
}

#[test]
fn a_revision_is_asked_for() {
    let server = Server::of_folder(&golden("moe"));
    let setup = Setup::new(&server.endpoint);
    let id = HubId::parse("owner/name@v2").unwrap();
    setup.hub.fetch(&id, &mut |_| ()).unwrap();
    assert!(server.requests()[0].path.starts_with("/owner/name/resolve/v2/"));
}

#[test]
fn the_token_is_sent_with_every_request_and_only_when_there_is_one() {
    let server = Server::of_folder(&golden("moe"));
    let setup = Setup::new(&server.endpoint);
    setup.hub.clone().with_token("secret").fetch(&id(), &mut |_| ()).unwrap();
    for request in server.requests() {
        assert_eq!(request.authorization.as_deref(), Some("Bearer secret"), "{request:?}");
    }
    let server = Server::of_folder(&golden("moe"));
    Setup::new(&server.endpoint).fetch().unwrap();
    assert!(server.requests().iter().all(|request| request.authorization.is_none()));
}

#[test]
fn the_token_is_not_in_the_debug_text() {
    let hub = Hub::new("cache").with_token("secret");
    assert!(!format!("{hub:?}").contains("secret"));
}

#[test]
fn progress_reaches_the_size_of_every_file() {
    let server = Server::of_folder(&golden("moe"));
    let setup = Setup::new(&server.endpoint);
    let mut last = BTreeMap::new();
    setup
        .hub
        .fetch(&id(), &mut |download| {
            last.insert(download.file.to_owned(), (download.received, download.total));
        })
        .unwrap();
    for file in [CONFIG_FILE, SINGLE_FILE] {
        let size = fs::metadata(golden("moe").join(file)).unwrap().len();
        assert_eq!(last[file], (size, size));
    }
}

#[test]
fn a_refused_request_says_to_set_a_token() {
    for status in [401, 403] {
        let server = Server::of_status(status);
        let setup = Setup::new(&server.endpoint);
        let error = setup.fetch().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} answered {status} for owner/name: the repository does not exist or is not \
                 public, set HF_TOKEN to a token that may read it",
                server.endpoint
            )
        );
        let with_token = setup.hub.clone().with_token("secret");
        let text = with_token.fetch(&id(), &mut |_| ()).unwrap_err().to_string();
        assert!(text.contains("the token may not read this repository"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn a_repository_that_does_not_exist_is_named() {
    let server = Server::of_status(404);
    let error = Setup::new(&server.endpoint).fetch().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "owner/name is not an existing folder, and {} has no config.json for it: \
             check owner, name and revision",
            server.endpoint
        )
    );
}

#[test]
fn a_repository_without_safetensors_is_refused() {
    let config = fs::read(golden("moe").join(CONFIG_FILE)).unwrap();
    let server = Server::start(BTreeMap::from([
        (CONFIG_FILE.to_owned(), Answer::File(config)),
        ("pytorch_model.bin".to_owned(), Answer::File(b"pickle".to_vec())),
    ]));
    let error = Setup::new(&server.endpoint).fetch().unwrap_err();
    assert!(matches!(error, HubError::NoWeights { .. }), "{error}");
}

#[test]
fn another_status_is_reported_with_its_number() {
    let server = Server::of_status(503);
    let error = Setup::new(&server.endpoint).fetch().unwrap_err();
    assert!(matches!(error, HubError::Status { status: 503, .. }), "{error}");
}

#[test]
fn a_hub_that_cannot_be_reached_is_named() {
    // A port that was free a moment ago, and on which nothing listens any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{address}");
    let error = Setup::new(&endpoint).fetch().unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("{endpoint} cannot be reached")), "{text}");
    assert!(text.contains("HF_ENDPOINT"), "{text}");
}

#[test]
fn offline_nothing_is_asked_for() {
    let server = Server::of_folder(&golden("moe"));
    let setup = Setup::new(&server.endpoint);
    let error = setup.hub.clone().with_offline(true).fetch(&id(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, HubError::Offline { .. }), "{error}");
    assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_server_that_is_no_hub_is_recognised() {
    let server = Server::start(BTreeMap::from([(CONFIG_FILE.to_owned(), Answer::Page)]));
    let error = Setup::new(&server.endpoint).fetch().unwrap_err();
    assert!(matches!(error, HubError::NotAHub { .. }), "{error}");
    // A redirection that leads nowhere.
    let server = Server::of_status(302);
    let error = Setup::new(&server.endpoint).fetch().unwrap_err();
    assert!(!matches!(error, HubError::NotFound { .. }), "{error}");
}

#[test]
fn a_file_that_arrives_short_is_not_kept() {
    let server = Server::of_folder(&golden("moe"));
    let whole = fs::read(golden("moe").join(SINGLE_FILE)).unwrap();
    server.answer(SINGLE_FILE, Answer::Short(whole.clone(), 8));
    let setup = Setup::new(&server.endpoint);
    let error = setup.fetch().unwrap_err();
    assert!(
        matches!(&error, HubError::Incomplete { expected, found, .. }
            if *expected == whole.len() as u64 + 8 && *found == whole.len() as u64),
        "{error}"
    );
    server.answer(SINGLE_FILE, Answer::File(whole));
    Checkpoint::open(setup.fetch().unwrap()).unwrap();
}

#[test]
fn an_interrupted_download_continues_where_it_stopped() {
    let server = Server::of_folder(&golden("moe"));
    let setup = Setup::new(&server.endpoint);
    let whole = fs::read(golden("moe").join(SINGLE_FILE)).unwrap();
    let blobs = setup.cache.path().join("hub/models--owner--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    // Where the client keeps unfinished downloads: the etag, with its extension replaced.
    fs::write(blobs.join("etag-of-model.part"), &whole[..1000]).unwrap();
    let mut first = None;
    let folder = setup
        .hub
        .fetch(&id(), &mut |download| {
            if download.file == SINGLE_FILE && download.received > 0 {
                first.get_or_insert(download.received);
            }
        })
        .unwrap();
    assert_eq!(first, Some(1000));
    assert_eq!(fs::read(folder.join(SINGLE_FILE)).unwrap(), whole);
}

#[test]
fn an_index_that_leads_out_of_the_cache_is_refused() {
    let server = Server::of_folder(&golden("moe-gqa"));
    let index = br#"{"weight_map": {"model.norm.weight": "../../../escaped"}}"#;
    server.answer(index::FILE_NAME, Answer::File(index.to_vec()));
    let error = Setup::new(&server.endpoint).fetch().unwrap_err();
    assert!(matches!(error, HubError::Index(_)), "{error}");
    assert!(server.requests().iter().all(|request| !request.path.contains("escaped")));
}

#[test]
fn an_endpoint_that_is_no_web_address_is_refused() {
    for endpoint in ["", "huggingface.co", "file:///etc", "https://", "http://a b"] {
        let error = Hub::new("cache").with_endpoint(endpoint).unwrap_err();
        assert!(matches!(error, HubError::Endpoint { .. }), "{endpoint}");
    }
}

#[test]
fn the_environment_decides_as_for_other_tools() {
    let from = |variables: &[(&str, &str)]| {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Hub::from_variables(
            &|name| variables.get(name).map(OsString::from),
            Some(PathBuf::from("/home/someone")),
        )
    };
    let plain = from(&[]).unwrap();
    assert_eq!(plain.endpoint, "https://huggingface.co");
    assert_eq!(plain.cache, Path::new("/home/someone/.cache/huggingface/hub"));
    assert_eq!((plain.token, plain.offline), (None, false));

    let set = from(&[
        ("HF_ENDPOINT", "https://mirror.example/"),
        ("HF_TOKEN", " secret\n"),
        ("HF_HOME", "/data/hf"),
        ("HF_HUB_OFFLINE", "1"),
    ])
    .unwrap();
    assert_eq!(set.endpoint, "https://mirror.example");
    assert_eq!(set.token.as_deref(), Some("secret"));
    assert_eq!(set.cache, Path::new("/data/hf/hub"));
    assert!(set.offline);

    let cache = |variables| from(variables).unwrap().cache;
    assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
    assert_eq!(cache(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/h")]), Path::new("/c"));
    assert!(!from(&[("HF_HUB_OFFLINE", "0")]).unwrap().offline);
    assert_eq!(from(&[("HF_TOKEN", "")]).unwrap().token, None);
    assert!(matches!(from(&[("HF_ENDPOINT", "nonsense")]), Err(HubError::Endpoint { .. })));
    assert!(matches!(Hub::from_variables(&|_| None, None), Err(HubError::NoCache)));
}

#[test]
fn a_token_that_a_login_stored_is_used_when_none_is_set() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), "stored\n").unwrap();
    let variables = |token: &'static str| {
        let home = home.path().as_os_str().to_owned();
        Hub::from_variables(
            &|name| match name {
                "HF_HOME" => Some(home.clone()),
                "HF_TOKEN" => Some(token.into()),
                _ => None,
            },
            None,
        )
    };
    assert_eq!(variables("").unwrap().token.as_deref(), Some("stored"));
    assert_eq!(variables("set").unwrap().token.as_deref(), Some("set"));
}
