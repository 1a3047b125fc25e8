use futures::TryStreamExt as _;

use super::*;

const LEN: u64 = 20 << 20;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

/// What a node does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Give,
    /// Gives so many bytes, then breaks off.
    Break(u64),
    /// Gives so many bytes, then nothing any more.
    Stall(u64),
    Refuse,
}

/// Nodes that do what was laid down for them, question by question, and note what they were asked.
struct Nodes {
    does: Mutex<BTreeMap<NodeId, VecDeque<Does>>>,
    asked: Asked,
}

/// Who was asked, from which byte on.
type Asked = Arc<Mutex<Vec<(NodeId, u64)>>>;

impl Nodes {
    fn new<const N: usize>(does: [(u8, Vec<Does>); N]) -> (Self, Asked) {
        let does = does.into_iter().map(|(n, does)| (node(n), does.into())).collect();
        let asked = Arc::default();
        (Self { does: Mutex::new(does), asked: Arc::clone(&asked) }, asked)
    }
}

/// Bytes by which a shifted or repeated piece shows itself.
fn bytes(range: Range<u64>) -> Bytes {
    range.map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<u8>>().into()
}

#[async_trait]
impl Line for Nodes {
    async fn open(&self, from: NodeId, range: Range<u64>) -> Result<Coming, FetchError> {
        self.asked.lock().unwrap().push((from, range.start));
        let does = self.does.lock().unwrap().get_mut(&from).and_then(VecDeque::pop_front);
        let give = |end: u64| {
            let pieces =
                (range.start..end).step_by(1 << 20).map(move |at| Ok(bytes(at..end.min(at + (1 << 20)))));
            futures::stream::iter(pieces.collect::<Vec<_>>())
        };
        let missing = 1;
        match does.expect("nobody was to ask it again") {
            Does::Give => Ok(give(range.end).boxed()),
            Does::Break(len) => {
                let broken = Err(FetchError::Cut { from, missing });
                Ok(give(range.start + len).chain(futures::stream::iter([broken])).boxed())
            }
            Does::Stall(len) => Ok(give(range.start + len).chain(futures::stream::pending()).boxed()),
            Does::Refuse => Err(FetchError::NotConnected(from)),
        }
    }
}

async fn all(stream: Coming) -> Result<Vec<u8>, FetchError> {
    let pieces: Vec<Bytes> = stream.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn a_large_copy_goes_on_where_the_line_broke() {
    let (nodes, asked) =
        Nodes::new([(1, vec![Does::Break(9 << 20), Does::Refuse, Does::Break(5 << 20), Does::Give])]);
    let got = all(Copy::of(nodes, node(1), LEN, 0).stream()).await.unwrap();
    assert!(got == bytes(0..LEN), "{} bytes, and not the right ones", got.len());
    let starts: Vec<u64> = asked.lock().unwrap().iter().map(|(_, start)| *start >> 20).collect();
    assert_eq!(starts, [0, 9, 9, 14], "nothing came twice");
}

#[tokio::test]
async fn a_copy_that_has_hardly_begun_does_not_wait() {
    let (nodes, asked) = Nodes::new([(1, vec![Does::Break(1 << 20)])]);
    assert!(matches!(all(Copy::of(nodes, node(1), LEN, 0).stream()).await, Err(FetchError::Cut { .. })));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_goes_on_with_the_next_node_and_asks_the_slow_one_last() {
    let slow = Arc::new(Slow::default());
    let (nodes, asked) =
        Nodes::new([(1, vec![Does::Stall(3 << 20)]), (2, vec![Does::Refuse]), (3, vec![Does::Give])]);
    let read = Read::begin(nodes, 5..LEN, [1, 2, 3].map(node), Arc::clone(&slow)).await.unwrap();
    let got = timeout(Duration::from_mins(1), all(read.unwrap())).await.expect("it waits for the slow one");
    assert!(got.unwrap() == bytes(5..LEN));
    assert_eq!(*asked.lock().unwrap(), [(node(1), 5), (node(2), 5 + (3 << 20)), (node(3), 5 + (3 << 20))]);
    let mut next = [1, 2, 3].map(node);
    slow.sort(&mut next);
    assert_eq!(next, [2, 3, 1].map(node));
}

#[tokio::test]
async fn who_is_alone_in_having_it_may_be_slow() {
    let (nodes, _) = Nodes::new([(1, vec![Does::Stall(1 << 20)])]);
    let read = Read::begin(nodes, 0..LEN, [node(1)], Arc::default()).await.unwrap().unwrap();
    let waits = timeout(READ_WAIT + Duration::from_secs(1), all(read)).await;
    assert!(waits.is_err(), "it was given up while nobody else could be asked");
    let (nodes, _) = Nodes::new([]);
    assert!(Read::begin(nodes, 0..LEN, [], Arc::default()).await.unwrap().is_none());
}
